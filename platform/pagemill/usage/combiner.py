"""Combining of reservations: those that arrive during one commit share the next transaction.

This module knows neither Ray nor SQL. The ``ReservationStore`` keeps the truth; a reservation is answered
only after its commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Literal, Protocol, TypeAlias

import msgspec

from pagemill.batching import Batcher, BatchFailed
from pagemill.errors import Unavailable
from pagemill.ids import JobId, OrganizationId
from pagemill.usage.meters import Amount, Meter, to_decimal

Verdict: TypeAlias = Literal["granted", "limit-exceeded", "job-ended"]

MAX_BATCH_SIZE = 256
"""Reservations in one transaction."""
SHARE_ABOVE = 32
"""More organizations than this are divided between the concurrent batches."""
CONCURRENT_COMMITS = 2
"""While one transaction waits for the disk, the next one is made."""
MAX_SPLITS = 5
"""A further split is needed when counters or plans change between two statements of a transaction."""


class Reservation(msgspec.Struct, frozen=True):
    """Units that a job asks for, by meter: all are granted, or none.

    Those of a late ``attempt`` are refused; None is any attempt.
    """

    organization_id: OrganizationId
    job_id: JobId
    amounts: Mapping[Meter, Amount]
    attempt: int | None = None


class BatchExceedsLimit(Exception):
    """A batch needs more than some organization's plan allows; nothing of it was counted."""


class UsageSnapshot(msgspec.Struct, frozen=True):
    """State of the jobs and counters of a batch, locked until the transaction ends."""

    open_jobs: frozenset[JobId]
    """Jobs that have not ended and whose attempt is the one that asks."""
    granted: frozenset[tuple[JobId, Meter]]
    """Jobs and meters that were granted before, and are not counted again."""
    remaining: Mapping[tuple[OrganizationId, Meter], Decimal]
    """Units left, by organization and meter; none for a pair that is absent."""


class ReservationTransaction(Protocol):
    """Open transaction of a reservation store."""

    async def count(self, reservations: Sequence[Reservation]) -> frozenset[JobId]:
        """Count like ``ReservationStore.count``. After BatchExceedsLimit it can only be rolled back."""
        ...

    async def lock(self, reservations: Sequence[Reservation]) -> UsageSnapshot:
        """Lock the jobs and counters of the reservations and return their state."""
        ...


class ReservationStore(Protocol):
    """Durable record of what was counted."""

    async def count(self, reservations: Sequence[Reservation]) -> frozenset[JobId]:
        """Count and commit all reservations, or none, with one guarded statement.

        Returns the ids of the jobs that have ended, for which nothing was counted. Raises BatchExceedsLimit.
        """
        ...

    def transaction(self) -> AbstractAsyncContextManager[ReservationTransaction]:
        """Open a transaction. It commits at the end of the context, and rolls back on an exception."""
        ...


class Combiner:
    """Group commit of reservations, for one event loop. It holds only unanswered reservations."""

    def __init__(self, store: ReservationStore) -> None:
        self._store = store
        # A second reservation of a job has to see what the first was granted, hence the key. A second
        # transaction for an organization would only wait for the first one's locks, hence the group.
        self._batcher: Batcher[Reservation, Verdict] = Batcher(
            self._commit,
            max_size=MAX_BATCH_SIZE,
            concurrency=CONCURRENT_COMMITS,
            share_above=SHARE_ABOVE,
            key=lambda reservation: reservation.job_id,
            group=lambda reservation: reservation.organization_id,
        )

    async def reserve(self, reservation: Reservation) -> Verdict:
        """Return the verdict on a reservation once it is committed.

        Raises Unavailable when it is unknown whether it was committed. Asking again is safe: a job is granted
        once.
        """
        return (await self.reserve_all([reservation]))[0]

    async def reserve_all(self, reservations: Sequence[Reservation]) -> list[Verdict]:
        """Return the verdict on each reservation, in their order. Raises Unavailable like ``reserve``."""
        try:
            return await self._batcher.submit_all(reservations)
        except BatchFailed as failed:
            raise Unavailable("Usage cannot be counted for now") from failed.__cause__

    async def _commit(self, batch: Sequence[Reservation]) -> list[Verdict]:
        """Commit the whole batch; select what fits when a limit refuses it."""
        try:
            ended_jobs = await self._store.count(batch)
        except BatchExceedsLimit:
            return await self._commit_fitting(batch)
        return ["job-ended" if one.job_id in ended_jobs else "granted" for one in batch]

    async def _commit_fitting(self, batch: Sequence[Reservation]) -> list[Verdict]:
        for _ in range(MAX_SPLITS):
            try:
                async with self._store.transaction() as transaction:
                    verdicts, fitting = select_fitting(batch, await transaction.lock(batch))
                    if fitting:
                        await transaction.count(fitting)
            except BatchExceedsLimit:
                continue
            return verdicts
        raise Unavailable("Usage changes too fast to be counted")


def select_fitting(
    batch: Sequence[Reservation], snapshot: UsageSnapshot
) -> tuple[list[Verdict], list[Reservation]]:
    """Return the verdict on each reservation, and those that fit, first come, first served.

    No unit that is allowed is refused. The selection is a proposal: the guarded statement decides.
    """
    remaining = dict(snapshot.remaining)
    verdicts: list[Verdict] = []
    fitting: list[Reservation] = []
    for one in batch:
        if one.job_id not in snapshot.open_jobs:
            verdicts.append("job-ended")
            continue
        needed = {
            (one.organization_id, meter): to_decimal(amount)
            for meter, amount in one.amounts.items()
            if (one.job_id, meter) not in snapshot.granted
        }
        if all(amount <= remaining.get(key, 0) for key, amount in needed.items()):
            for key, amount in needed.items():
                remaining[key] -= amount
            verdicts.append("granted")
            fitting.append(one)
        else:
            verdicts.append("limit-exceeded")
    return verdicts, fitting
