"""Refused requests: counted in this process, and written together once in a while.

A refusal costs its sender nothing, so it may cost a row only now and then. Refusals that are alike become one
event with their number; of those that differ so many are kept for an organization, and in all. When an
organization has written so many, one a minute follows, and the others wait and go on counting. A process that
is killed loses what it has not written.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeAlias

import msgspec

from db.pool import DATABASE_ERRORS, Pool, acquire
from pagemill.audit.events import AuditEvent, record

WRITTEN_SECONDS: Final = 10.0
MOST_OF_ORGANIZATION: Final = 20
MOST: Final = 200
"""Events that one process keeps, and writes at a time, at most."""
REFILL_SECONDS: Final = 60.0
"""Time after which an organization may have another event, when it has had as many as it may at a time."""

Source: TypeAlias = tuple[str | None, bool]
"""An organization, and whether strangers are refused: they leave room for its own callers."""
Alike: TypeAlias = tuple[Source, str | None, str, str | None]

logger = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class _Counted:
    first: AuditEvent
    number: int = 1


class Refusals:
    """Refusals of one process that are not written yet."""

    def __init__(self, pool: Pool, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool, self._clock = pool, clock
        self._counted: dict[Alike, _Counted] = {}
        self._of_source: Counter[Source] = Counter()
        self._allowances: dict[Source, tuple[float, float]] = {}
        self._left_out = 0

    def add(self, event: AuditEvent, *, of_stranger: bool = False) -> None:
        """Count a refusal: those of one principal, action and address are alike, whatever the resource.

        ``of_stranger`` says that whoever was refused has not shown to be the principal.
        """
        source = (event.organization_id, of_stranger)
        alike = (source, event.principal_id, event.action, event.address)
        counted = self._counted.get(alike)
        if counted is not None:
            counted.number += 1
        elif len(self._counted) >= MOST or self._of_source[source] >= MOST_OF_ORGANIZATION:
            self._left_out += 1
        else:
            self._counted[alike] = _Counted(event)
            self._of_source[source] += 1

    async def write(self) -> None:
        """Write what is due, in one transaction. What cannot be written is only logged."""
        due = self._take_due()
        left_out, self._left_out = self._left_out, 0
        if left_out:
            logger.warning("%d more refusals are not in the audit: there were too many that differ", left_out)
        if not due:
            return
        try:
            async with acquire(self._pool) as connection, connection.transaction():
                for one in due:
                    await record(connection, _event_of(one))
        except DATABASE_ERRORS as error:
            logger.warning("%d refusals are not in the audit: %r", len(due), error)

    def _take_due(self) -> list[_Counted]:
        """Take out those that their organizations may write now."""
        now = self._clock()
        for source, (left, since) in list(self._allowances.items()):
            left = left + (now - since) / REFILL_SECONDS
            self._allowances[source] = (left, now)
            if left >= MOST_OF_ORGANIZATION:
                del self._allowances[source]
        due = [alike for alike in self._counted if self._may_write(alike[0], now)]
        self._of_source.subtract(alike[0] for alike in due)
        self._of_source += Counter()  # without zeros
        return [self._counted.pop(alike) for alike in due]

    def _may_write(self, source: Source, now: float) -> bool:
        """Take one event from the allowance of an organization, if there is one left."""
        left, _ = self._allowances.get(source, (float(MOST_OF_ORGANIZATION), now))
        if left < 1.0:
            return False
        self._allowances[source] = (left - 1.0, now)
        return True

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
            if self._counted:
                logger.warning("%d kinds of refusals are not in the audit: they waited", len(self._counted))

    async def _write_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(WRITTEN_SECONDS)
            await asyncio.shield(self.write())


def _event_of(counted: _Counted) -> AuditEvent:
    if counted.number == 1:
        return counted.first
    details = {**counted.first.details, "numberOfRequests": counted.number}
    return msgspec.structs.replace(counted.first, details=details)
