"""Starts of executions: those of one organization that are asked for at the same time share a transaction.

Each by itself would hold the organization's counters until it is on the disk, and others would wait.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, TypeAlias

from db.pool import CONNECTION_ERRORS, Pool, acquire
from db.workflow_executions import WorkflowExecutionRow
from pagemill.batching import Batcher, BatchFailed
from pagemill.errors import Unavailable
from pagemill.ids import OrganizationId
from pagemill.workflows.workflow_executions import Start, start_together

STARTS_AT_ONCE: Final = 16
"""An execution may have 256 KiB of input, which its machine and its first step have as well."""
CONCURRENT_BATCHES: Final = 4

Started: TypeAlias = WorkflowExecutionRow | Exception | None


class ExecutionStarts:
    """Starter of executions, on connections of a pool.

    ``development_allowance`` is the number of executions a month of a workflow in development.
    """

    def __init__(self, pool: Pool, *, development_allowance: int) -> None:
        self._pool = pool
        self._development_allowance = development_allowance
        self._batcher: Batcher[tuple[OrganizationId, Start], Started] = Batcher(
            self._start_batch,
            max_size=STARTS_AT_ONCE,
            concurrency=CONCURRENT_BATCHES,
            group=lambda asked: asked[0],
        )

    async def start(self, organization_id: OrganizationId, start: Start) -> WorkflowExecutionRow | None:
        """Start an execution; return its row, None when the organization has no such workflow.

        It is committed then. Raises LimitExceeded and Unavailable.
        """
        try:
            started = await self._batcher.submit((organization_id, start))
        except BatchFailed as failed:
            raise Unavailable(detail=str(failed)) from failed
        if isinstance(started, Exception):
            raise started
        return started

    async def close(self) -> None:
        """Start nothing more."""
        await self._batcher.close()

    async def _start_batch(self, asked: Sequence[tuple[OrganizationId, Start]]) -> list[Started]:
        """Start executions of several organizations, each organization's in a transaction of its own."""
        places: defaultdict[OrganizationId, list[int]] = defaultdict(list)
        for place, (organization_id, _) in enumerate(asked):
            places[organization_id].append(place)
        started: list[Started] = [None] * len(asked)

        async def start_some(organization_id: OrganizationId, mine: Sequence[int]) -> None:
            found = await self._start_of_one(organization_id, [asked[place][1] for place in mine])
            for place, one in zip(mine, found, strict=True):
                started[place] = one

        await asyncio.gather(*(start_some(*one) for one in places.items()))
        return started

    async def _start_of_one(
        self, organization_id: OrganizationId, starts: Sequence[Start]
    ) -> Sequence[Started]:
        """Start all, or each by itself when one is refused: only that one fails then."""
        try:
            async with acquire(self._pool) as connection, connection.transaction():
                return await start_together(
                    connection, organization_id, starts, development_allowance=self._development_allowance
                )
        except CONNECTION_ERRORS as error:
            return [Unavailable(detail=str(error)) for _ in starts]
        except Exception as error:  # noqa: BLE001 - raised to the one whose execution it is
            if len(starts) == 1:
                return [error]
            return [one for start in starts for one in await self._start_of_one(organization_id, [start])]
