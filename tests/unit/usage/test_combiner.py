"""Combining, against a ledger in memory whose commits the test lets happen."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.errors import Unavailable
from pagemill.usage.combiner import Combiner, Reservation, Transaction, Verdict


class MemoryTransaction:
    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger
        self.used = Counter(ledger.used)
        self.reserved = set(ledger.reserved)

    async def open_jobs(self, organization_id: str, job_ids: Sequence[str]) -> set[str]:
        return set(job_ids) - self._ledger.ended

    async def grant(self, organization_id: str, reservations: Sequence[Reservation]) -> bool:
        self._ledger.statements += 1
        new = [one for one in reservations if one.job_id not in self.reserved]
        total = sum(int(amount) for one in new for amount in one.amounts.values())
        if self.used[organization_id] + total > self._ledger.allowed:
            return False
        self.used[organization_id] += total
        self.reserved |= {one.job_id for one in new}
        return True


class MemoryLedger:
    """Counts one meter. ``may_commit`` holds commits back; ``failures`` are raised by the next ones."""

    def __init__(self, allowed: int = 1_000_000) -> None:
        self.allowed = allowed
        self.used: Counter[str] = Counter()
        self.reserved: set[str] = set()
        self.ended: set[str] = set()
        self.failures: list[Exception] = []
        self.statements = 0
        self.commits = 0
        self.open = 0
        self.may_commit = asyncio.Event()
        self.may_commit.set()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        self.open += 1
        assert self.open == 1, "two transactions at once"
        try:
            transaction = MemoryTransaction(self)
            yield transaction
            await self.may_commit.wait()
            if self.failures:
                raise self.failures.pop(0)
            self.used, self.reserved = transaction.used, transaction.reserved
            self.commits += 1
        finally:
            self.open -= 1


def wanted(job_id: str, pages: int = 1, organization_id: str = "one") -> Reservation:
    return Reservation(organization_id, job_id, {"pages": pages})


async def ask(combiner: Combiner, *reservations: Reservation) -> list[Verdict]:
    return await asyncio.gather(*(combiner.reserve(one) for one in reservations))


async def test_nothing_is_answered_before_its_commit() -> None:
    ledger = MemoryLedger()
    ledger.may_commit.clear()
    asked = asyncio.create_task(Combiner(ledger).reserve(wanted("a")))
    done, _ = await asyncio.wait({asked}, timeout=0.02)
    assert not done
    assert not ledger.used
    ledger.may_commit.set()
    assert await asked == "granted"
    assert ledger.used["one"] == 1


async def test_what_is_asked_during_a_commit_goes_into_the_next_one_together() -> None:
    ledger = MemoryLedger()
    ledger.may_commit.clear()
    combiner = Combiner(ledger)
    first = asyncio.create_task(combiner.reserve(wanted("first")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rest = asyncio.create_task(ask(combiner, *(wanted(f"job {number}") for number in range(50))))
    await asyncio.sleep(0)
    ledger.may_commit.set()
    assert await first == "granted"
    assert set(await rest) == {"granted"}
    assert ledger.commits == 2
    assert ledger.statements == 2


async def test_organizations_share_a_commit_and_nothing_else() -> None:
    ledger = MemoryLedger(allowed=1)
    verdicts = await ask(
        Combiner(ledger), wanted("a", 1, "one"), wanted("b", 2, "two"), wanted("c", 1, "three")
    )
    assert verdicts == ["granted", "limit-exceeded", "granted"]
    assert ledger.commits == 1


@given(allowed=st.integers(0, 40), count=st.integers(1, 80))
async def test_single_units_are_granted_up_to_exactly_the_limit(allowed: int, count: int) -> None:
    ledger = MemoryLedger(allowed)
    verdicts = await ask(Combiner(ledger), *(wanted(f"job {number}") for number in range(count)))
    assert Counter(verdicts)["granted"] == min(allowed, count) == ledger.used["one"]


@given(allowed=st.integers(0, 60), amounts=st.lists(st.integers(1, 9), min_size=1, max_size=60))
async def test_nothing_that_fits_is_refused_and_nothing_over_granted(
    allowed: int, amounts: list[int]
) -> None:
    ledger = MemoryLedger(allowed)
    verdicts = await ask(
        Combiner(ledger), *(wanted(f"job {number}", amount) for number, amount in enumerate(amounts))
    )
    granted = sum(amount for amount, verdict in zip(amounts, verdicts, strict=True) if verdict == "granted")
    refused = [
        amount for amount, verdict in zip(amounts, verdicts, strict=True) if verdict == "limit-exceeded"
    ]
    assert granted == ledger.used["one"] <= allowed
    assert all(granted + amount > allowed for amount in refused)


async def test_the_same_job_is_granted_once_however_often_it_asks_at_once() -> None:
    ledger = MemoryLedger(allowed=3)
    verdicts = await ask(Combiner(ledger), *(wanted("a", 3) for _ in range(5)))
    assert verdicts == ["granted"] * 5
    assert ledger.used["one"] == 3


async def test_an_ended_job_reserves_nothing() -> None:
    ledger = MemoryLedger()
    ledger.ended = {"a"}
    assert await ask(Combiner(ledger), wanted("a"), wanted("b")) == ["job-ended", "granted"]
    assert ledger.used["one"] == 1


async def test_a_broken_commit_is_told_to_its_callers_and_the_next_one_works() -> None:
    ledger = MemoryLedger()
    ledger.failures = [OSError("away")]
    combiner = Combiner(ledger)
    answers = await asyncio.gather(
        *(combiner.reserve(wanted(f"job {number}")) for number in range(3)), return_exceptions=True
    )
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert not ledger.used
    assert await ask(combiner, *(wanted(f"job {number}") for number in range(3))) == ["granted"] * 3


async def test_a_caller_who_left_takes_nobody_with_him() -> None:
    ledger = MemoryLedger()
    ledger.may_commit.clear()
    combiner = Combiner(ledger)
    gone = asyncio.create_task(combiner.reserve(wanted("gone")))
    stays = asyncio.create_task(combiner.reserve(wanted("stays")))
    await asyncio.sleep(0.01)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    ledger.may_commit.set()
    assert await stays == "granted"


async def test_splitting_takes_few_statements() -> None:
    ledger = MemoryLedger(allowed=100)
    verdicts = await ask(Combiner(ledger), *(wanted(f"job {number}") for number in range(200)))
    assert Counter(verdicts) == {"granted": 100, "limit-exceeded": 100}
    assert ledger.statements < 410
