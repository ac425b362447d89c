"""Combining: what is asked for while one commit runs goes into the next transaction, all of it together.

No Ray and no SQL here. ``Ledger`` is where the truth is; a reservation is answered after its commit only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import msgspec

from pagemill.errors import Unavailable
from pagemill.usage.meters import Amount, Meter

Verdict: TypeAlias = Literal["granted", "limit-exceeded", "job-ended"]

COMBINED_AT_MOST = 256


class Reservation(msgspec.Struct, frozen=True):
    """What one job asks for: all of it is granted, or nothing."""

    organization_id: str
    job_id: str
    amounts: Mapping[Meter, Amount]


class Transaction(Protocol):
    """One open transaction of a ledger."""

    async def open_jobs(self, organization_id: str, job_ids: Sequence[str]) -> set[str]:
        """Which of the jobs can reserve; they stay so until the transaction ends."""
        ...

    async def grant(self, organization_id: str, reservations: Sequence[Reservation]) -> bool:
        """Count all of them together, or, when they do not fit, nothing at all."""
        ...


class Ledger(Protocol):
    """Opens transactions. Leaving the context commits; leaving it by an exception does not."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]: ...


@dataclass(slots=True)
class _Asked:
    reservation: Reservation
    answer: asyncio.Future[Verdict]


class Combiner:
    """Belongs to one event loop. It holds only what has not been answered yet."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._asked: list[_Asked] = []
        self._committing: asyncio.Task[None] | None = None

    async def reserve(self, reservation: Reservation) -> Verdict:
        """Answers when the verdict is committed.

        Raises Unavailable when it is not known whether it was: asking again is safe, a job is granted once.
        """
        asked = _Asked(reservation, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        return await asked.answer

    async def _commit_all(self) -> None:
        try:
            while self._asked:
                batch = self._next_batch()
                try:
                    await self._commit(batch)
                except Exception as error:  # noqa: BLE001 - answered to every caller of the batch
                    _refuse(batch, error)
        finally:
            self._committing = None

    def _next_batch(self) -> list[_Asked]:
        """The oldest, each job once: a second one of the same job has to see what the first was granted."""
        batch: list[_Asked] = []
        later: list[_Asked] = []
        jobs: set[str] = set()
        for asked in self._asked:
            if asked.reservation.job_id in jobs or len(batch) == COMBINED_AT_MOST:
                later.append(asked)
            else:
                jobs.add(asked.reservation.job_id)
                batch.append(asked)
        self._asked = later
        return batch

    async def _commit(self, batch: Sequence[_Asked]) -> None:
        verdicts: dict[str, Verdict] = {}
        by_organization: dict[str, list[Reservation]] = {}
        for asked in batch:
            by_organization.setdefault(asked.reservation.organization_id, []).append(asked.reservation)
        organizations = sorted(by_organization.items())
        async with self._ledger.transaction() as transaction:
            # All jobs are locked before any counter, as whoever ends a job does.
            open_jobs = {
                organization_id: await transaction.open_jobs(
                    organization_id, [reservation.job_id for reservation in reservations]
                )
                for organization_id, reservations in organizations
            }
            for organization_id, reservations in organizations:
                live = [one for one in reservations if one.job_id in open_jobs[organization_id]]
                verdicts.update({one.job_id: "job-ended" for one in reservations})
                verdicts.update(await grant_what_fits(transaction, organization_id, live))
        for asked in batch:
            if not asked.answer.done():
                asked.answer.set_result(verdicts[asked.reservation.job_id])


async def grant_what_fits(
    transaction: Transaction, organization_id: str, reservations: Sequence[Reservation]
) -> dict[str, Verdict]:
    """Verdicts by job. What does not fit together is split, so that no unit that is allowed is refused."""
    if not reservations:
        return {}
    if await transaction.grant(organization_id, reservations):
        return {one.job_id: "granted" for one in reservations}
    if len(reservations) == 1:
        return {reservations[0].job_id: "limit-exceeded"}
    half = len(reservations) // 2
    verdicts = await grant_what_fits(transaction, organization_id, reservations[:half])
    verdicts.update(await grant_what_fits(transaction, organization_id, reservations[half:]))
    return verdicts


def _refuse(batch: Sequence[_Asked], error: Exception) -> None:
    for asked in batch:
        if not asked.answer.done():
            refusal = Unavailable("Usage cannot be counted for now")
            refusal.__cause__ = error
            asked.answer.set_exception(refusal)
