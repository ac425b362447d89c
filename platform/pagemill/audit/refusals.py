"""Refused requests: counted in this process, and written together once in a while.

A refusal costs its sender nothing, so it may cost a row only now and then. Refusals that are alike become one
event with their number; of those that differ so many are kept for an organization, and in all. A process
that is killed loses those of the last seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from db.pool import DATABASE_ERRORS, Pool, acquire
from pagemill.audit.events import AuditEvent, record

WRITTEN_SECONDS: Final = 10.0
MOST_OF_ORGANIZATION: Final = 20
MOST: Final = 200
"""Events that one process writes at a time at most."""

Alike = tuple[str | None, str | None, str, str | None]

logger = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class _Counted:
    first: AuditEvent
    number: int = 1


class Refusals:
    """Refusals of one process that are not written yet."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._counted: dict[Alike, _Counted] = {}
        self._of_organization: Counter[str | None] = Counter()
        self._left_out = 0

    def add(self, event: AuditEvent) -> None:
        """Count a refusal: those of one principal, action and address are alike, whatever the resource."""
        alike = (event.organization_id, event.principal_id, event.action, event.address)
        counted = self._counted.get(alike)
        if counted is not None:
            counted.number += 1
        elif (
            len(self._counted) >= MOST or self._of_organization[event.organization_id] >= MOST_OF_ORGANIZATION
        ):
            self._left_out += 1
        else:
            self._counted[alike] = _Counted(event)
            self._of_organization[event.organization_id] += 1

    async def write(self) -> None:
        """Write what was counted, in one transaction. What cannot be written is only logged."""
        if not self._counted:
            return
        counted, self._counted = self._counted, {}
        left_out, self._left_out = self._left_out, 0
        self._of_organization.clear()
        try:
            async with acquire(self._pool) as connection, connection.transaction():
                for one in counted.values():
                    await record(connection, _event_of(one))
        except DATABASE_ERRORS as error:
            logger.warning("%d refusals are not in the audit: %r", len(counted), error)
            return
        if left_out:
            logger.warning("%d more refusals are not in the audit: there were too many that differ", left_out)

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[Refusals]:
        """Write every few seconds, and once more at the end."""
        task = asyncio.create_task(self._write_again_and_again())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await self.write()

    async def _write_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(WRITTEN_SECONDS)
            await asyncio.shield(self.write())


def _event_of(counted: _Counted) -> AuditEvent:
    if counted.number == 1:
        return counted.first
    details = {**counted.first.details, "numberOfRequests": counted.number}
    return msgspec.structs.replace(counted.first, details=details)
