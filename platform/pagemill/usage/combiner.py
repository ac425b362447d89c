"""Combining: what is asked for while one commit runs goes into the next transaction, all of it together.

No Ray and no SQL here. ``Ledger`` is where the truth is; a reservation is answered after its commit only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Literal, Protocol, TypeAlias

import msgspec

from pagemill.batching import Batches, BatchFailed
from pagemill.errors import Unavailable
from pagemill.usage.meters import Amount, Meter, to_decimal

Verdict: TypeAlias = Literal["granted", "limit-exceeded", "job-ended"]

COMBINED_AT_LEAST, COMBINED_AT_MOST = 32, 256
"""In one transaction: so few are not divided, and more wait for the next one."""
COMMITS_AT_ONCE = 2
"""While one transaction waits for the disk, the next one is made."""
SPLITS_AT_MOST = 5
"""Each further one means that others have changed counters or plans between two statements."""


class Reservation(msgspec.Struct, frozen=True):
    """What one job asks for: all of it is granted, or nothing."""

    organization_id: str
    job_id: str
    amounts: Mapping[Meter, Amount]


class Exceeded(Exception):
    """All of it together is too much for one of the organizations: nothing was counted for any."""


class Standing(msgspec.Struct, frozen=True):
    """How things stand for some reservations; it stays so until the transaction ends."""

    open_jobs: frozenset[str]
    granted: frozenset[tuple[str, Meter]]
    """What jobs have been granted before; it is not counted again."""
    room: Mapping[tuple[str, Meter], Decimal]
    """What is left, by organization and meter; nothing where it does not say."""


class Transaction(Protocol):
    """One open transaction of a ledger."""

    async def count(self, reservations: Sequence[Reservation]) -> frozenset[str]:
        """As a ledger does. Raises Exceeded; the transaction can only be left then."""
        ...

    async def standing(self, reservations: Sequence[Reservation]) -> Standing:
        """Lock their jobs and counters, and see how they stand."""
        ...


class Ledger(Protocol):
    """Where it is known what was counted."""

    async def count(self, reservations: Sequence[Reservation]) -> frozenset[str]:
        """Count all of them, or none, with one guarded statement for all jobs and counters; it is committed.

        Gives the jobs that have ended, for which nothing was counted. Raises Exceeded.
        """
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Leaving the context commits; leaving it by an exception does not."""
        ...


class Combiner:
    """Belongs to one event loop. It holds only what has not been answered yet."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        # A second one of the same job has to see what the first was granted. A second transaction for the
        # same organization would only wait for the first one's counters: its reservations gather meanwhile.
        self._batches: Batches[Reservation, Verdict] = Batches(
            self._commit,
            at_most=COMBINED_AT_MOST,
            at_once=COMMITS_AT_ONCE,
            at_least=COMBINED_AT_LEAST,
            key=lambda reservation: reservation.job_id,
            group=lambda reservation: reservation.organization_id,
        )

    async def reserve(self, reservation: Reservation) -> Verdict:
        """Answers when the verdict is committed.

        Raises Unavailable when it is not known whether it was: asking again is safe, a job is granted once.
        """
        return (await self.reserve_all([reservation]))[0]

    async def reserve_all(self, reservations: Sequence[Reservation]) -> list[Verdict]:
        """The same for several, each by itself."""
        try:
            return await self._batches.ask_all(reservations)
        except BatchFailed as failed:
            raise Unavailable("Usage cannot be counted for now") from failed.__cause__

    async def _commit(self, batch: Sequence[Reservation]) -> list[Verdict]:
        """All of it together, whoever's it is; what is too much is left out in a transaction of its own."""
        try:
            ended_jobs = await self._ledger.count(batch)
        except Exceeded:
            return await self._commit_what_fits(batch)
        return ["job-ended" if one.job_id in ended_jobs else "granted" for one in batch]

    async def _commit_what_fits(self, batch: Sequence[Reservation]) -> list[Verdict]:
        for _ in range(SPLITS_AT_MOST):
            try:
                async with self._ledger.transaction() as transaction:
                    standing = await transaction.standing(batch)
                    verdicts, chosen = split(batch, standing)
                    if chosen:
                        await transaction.count(chosen)
            except Exceeded:
                continue
            return verdicts
        raise Unavailable("Usage changes too fast to be counted")


def split(batch: Sequence[Reservation], standing: Standing) -> tuple[list[Verdict], list[Reservation]]:
    """The verdicts, and what is to be counted: first come, first served, and whatever still fits after that.

    No unit that is allowed is refused. The choice is only a proposal: what counts is the guarded statement.
    """
    room = dict(standing.room)
    verdicts: list[Verdict] = []
    chosen: list[Reservation] = []
    for one in batch:
        if one.job_id not in standing.open_jobs:
            verdicts.append("job-ended")
            continue
        wanted = {
            (one.organization_id, meter): to_decimal(amount)
            for meter, amount in one.amounts.items()
            if (one.job_id, meter) not in standing.granted
        }
        if all(amount <= room.get(key, 0) for key, amount in wanted.items()):
            for key, amount in wanted.items():
                room[key] -= amount
            verdicts.append("granted")
            chosen.append(one)
        else:
            verdicts.append("limit-exceeded")
    return verdicts, chosen
