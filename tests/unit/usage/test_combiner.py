"""Combining, on a store in memory whose commits a test can hold back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.errors import Unavailable
from pagemill.usage.combiner import (
    CONCURRENT_COMMITS,
    MAX_SPLITS,
    BatchExceedsLimit,
    Combiner,
    Reservation,
    ReservationTransaction,
    UsageSnapshot,
    Verdict,
    select_fitting,
)
from pagemill.usage.meters import Meter


class MemoryTransaction:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.used = Counter(store.used)
        self.reserved = set(store.reserved)
        self.touched: set[str] = set()

    async def count(self, reservations: Sequence[Reservation]) -> frozenset[str]:
        self._store.statements += 1
        self.touched |= {one.organization_id for one in reservations}
        ended = frozenset(one.job_id for one in reservations) & self._store.ended
        for one in reservations:
            if one.job_id not in self.reserved | ended:
                self.used[one.organization_id] += sum(int(amount) for amount in one.amounts.values())
                self.reserved.add(one.job_id)
        allowed = self._store.allowed - self._store.taken_by_others
        if any(self.used[one.organization_id] > allowed for one in reservations):
            raise BatchExceedsLimit
        return ended

    async def lock(self, reservations: Sequence[Reservation]) -> UsageSnapshot:
        self._store.statements += 1
        jobs = {one.job_id for one in reservations}
        left = {
            (one.organization_id, meter): Decimal(self._store.allowed - self.used[one.organization_id])
            for one in reservations
            for meter in one.amounts
        }
        if self._store.surprises:
            self._store.taken_by_others += self._store.surprises.pop(0)
        else:
            left = {key: room - self._store.taken_by_others for key, room in left.items()}
        return UsageSnapshot(
            frozenset(jobs - self._store.ended),
            frozenset((job_id, "pages") for job_id in jobs & self.reserved),
            left,
        )


class MemoryStore:
    """Counts one meter. ``may_commit`` holds commits back; ``failures`` are raised by the next ones.

    ``surprises`` are taken by others, each after somebody has seen how things stand.
    """

    def __init__(self, allowed: int = 1_000_000) -> None:
        self.allowed = allowed
        self.used: Counter[str] = Counter()
        self.reserved: set[str] = set()
        self.ended: set[str] = set()
        self.failures: list[Exception] = []
        self.surprises: list[int] = []
        self.taken_by_others = 0
        self.statements = 0
        self.commits = 0
        self.open = 0
        self.may_commit = asyncio.Event()
        self.may_commit.set()

    async def count(self, reservations: Sequence[Reservation]) -> frozenset[str]:
        async with self.transaction() as transaction:
            return await transaction.count(reservations)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ReservationTransaction]:
        self.open += 1
        assert self.open <= CONCURRENT_COMMITS
        try:
            transaction = MemoryTransaction(self)
            yield transaction
            await self.may_commit.wait()
            if self.failures:
                raise self.failures.pop(0)
            for organization_id in transaction.touched:
                self.used[organization_id] = transaction.used[organization_id]
            self.reserved |= transaction.reserved
            self.commits += 1
        finally:
            self.open -= 1


def wanted(job_id: str, pages: int = 1, organization_id: str = "one") -> Reservation:
    return Reservation(organization_id, job_id, {"pages": pages})


async def ask(combiner: Combiner, *reservations: Reservation) -> list[Verdict]:
    return await asyncio.gather(*(combiner.reserve(one) for one in reservations))


async def test_nothing_is_answered_before_its_commit() -> None:
    store = MemoryStore()
    store.may_commit.clear()
    asked = asyncio.create_task(Combiner(store).reserve(wanted("a")))
    done, _ = await asyncio.wait({asked}, timeout=0.02)
    assert not done
    assert not store.used
    store.may_commit.set()
    assert await asked == "granted"
    assert store.used["one"] == 1


async def test_reservations_made_during_a_commit_share_the_next_one() -> None:
    store = MemoryStore()
    store.may_commit.clear()
    combiner = Combiner(store)
    first = asyncio.create_task(combiner.reserve(wanted("first")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rest = asyncio.create_task(ask(combiner, *(wanted(f"job {number}") for number in range(50))))
    await asyncio.sleep(0)
    store.may_commit.set()
    assert await first == "granted"
    assert set(await rest) == {"granted"}
    assert store.commits == 2
    assert store.statements == 2


async def test_organizations_share_a_commit_and_nothing_else() -> None:
    store = MemoryStore(allowed=1)
    verdicts = await ask(
        Combiner(store), wanted("a", 1, "one"), wanted("b", 2, "two"), wanted("c", 1, "three")
    )
    assert verdicts == ["granted", "limit-exceeded", "granted"]
    assert store.commits == 1


@given(allowed=st.integers(0, 40), count=st.integers(1, 80))
async def test_single_units_are_granted_up_to_exactly_the_limit(allowed: int, count: int) -> None:
    store = MemoryStore(allowed)
    verdicts = await ask(Combiner(store), *(wanted(f"job {number}") for number in range(count)))
    assert Counter(verdicts)["granted"] == min(allowed, count) == store.used["one"]


@given(allowed=st.integers(0, 60), amounts=st.lists(st.integers(1, 9), min_size=1, max_size=60))
async def test_nothing_that_fits_is_refused_and_nothing_over_granted(
    allowed: int, amounts: list[int]
) -> None:
    store = MemoryStore(allowed)
    verdicts = await ask(
        Combiner(store), *(wanted(f"job {number}", amount) for number, amount in enumerate(amounts))
    )
    granted = sum(amount for amount, verdict in zip(amounts, verdicts, strict=True) if verdict == "granted")
    refused = [
        amount for amount, verdict in zip(amounts, verdicts, strict=True) if verdict == "limit-exceeded"
    ]
    assert granted == store.used["one"] <= allowed
    assert all(granted + amount > allowed for amount in refused)


async def test_the_same_job_is_granted_once_however_often_it_asks_at_once() -> None:
    store = MemoryStore(allowed=3)
    verdicts = await ask(Combiner(store), *(wanted("a", 3) for _ in range(5)))
    assert verdicts == ["granted"] * 5
    assert store.used["one"] == 3


async def test_an_ended_job_reserves_nothing() -> None:
    store = MemoryStore()
    store.ended = {"a"}
    assert await ask(Combiner(store), wanted("a"), wanted("b")) == ["job-ended", "granted"]
    assert store.used["one"] == 1


async def test_a_failed_commit_is_raised_to_its_callers_and_the_next_one_works() -> None:
    store = MemoryStore()
    store.failures = [OSError("away")]
    combiner = Combiner(store)
    answers = await asyncio.gather(
        *(combiner.reserve(wanted(f"job {number}")) for number in range(3)), return_exceptions=True
    )
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert not store.used
    assert await ask(combiner, *(wanted(f"job {number}") for number in range(3))) == ["granted"] * 3


async def test_a_cancelled_caller_does_not_disturb_others() -> None:
    store = MemoryStore()
    store.may_commit.clear()
    combiner = Combiner(store)
    gone = asyncio.create_task(combiner.reserve(wanted("gone")))
    stays = asyncio.create_task(combiner.reserve(wanted("stays")))
    await asyncio.sleep(0.01)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    store.may_commit.set()
    assert await stays == "granted"


async def test_selecting_what_fits_takes_few_statements() -> None:
    store = MemoryStore(allowed=100)
    verdicts = await ask(Combiner(store), *(wanted(f"job {number}") for number in range(200)))
    assert Counter(verdicts) == {"granted": 100, "limit-exceeded": 100}
    assert store.statements == 3


async def test_units_taken_between_locking_and_counting_are_not_granted_again() -> None:
    store = MemoryStore(allowed=10)
    store.surprises = [3, 2]
    verdicts = await ask(Combiner(store), *(wanted(f"job {number}") for number in range(20)))
    assert Counter(verdicts) == {"granted": 5, "limit-exceeded": 15}
    assert store.used["one"] + store.taken_by_others == 10


async def test_counters_that_keep_changing_are_unavailable() -> None:
    store = MemoryStore(allowed=10)
    store.surprises = [1] * MAX_SPLITS
    combiner = Combiner(store)
    answers = await asyncio.gather(
        *(combiner.reserve(wanted(f"job {number}")) for number in range(20)), return_exceptions=True
    )
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert not store.used


METER_NAMES: tuple[Meter, ...] = ("pages", "fields")
AMOUNTS = st.dictionaries(st.sampled_from(METER_NAMES), st.integers(0, 9), min_size=1)


@given(
    asked=st.lists(st.tuples(st.sampled_from(["one", "two"]), AMOUNTS), max_size=30),
    rooms=st.fixed_dictionaries(
        {(name, meter): st.integers(0, 40) for name in ("one", "two") for meter in METER_NAMES}
    ),
    ended=st.sets(st.integers(0, 29), max_size=4),
    granted=st.sets(st.tuples(st.integers(0, 29), st.sampled_from(METER_NAMES)), max_size=6),
)
def test_only_reservations_that_do_not_fit_are_refused(
    asked: list[tuple[str, dict[Meter, int]]],
    rooms: dict[tuple[str, Meter], int],
    ended: set[int],
    granted: set[tuple[int, Meter]],
) -> None:
    batch = [Reservation(name, f"job {number}", amounts) for number, (name, amounts) in enumerate(asked)]
    snapshot = UsageSnapshot(
        frozenset(one.job_id for number, one in enumerate(batch) if number not in ended),
        frozenset((f"job {number}", meter) for number, meter in granted),
        {key: Decimal(room) for key, room in rooms.items()},
    )
    verdicts, fitting = select_fitting(batch, snapshot)

    left = Counter({key: Decimal(room) for key, room in rooms.items()})
    for one, verdict in zip(batch, verdicts, strict=True):
        cost = {
            (one.organization_id, meter): int(amount)
            for meter, amount in one.amounts.items()
            if (one.job_id, meter) not in snapshot.granted
        }
        fits = all(amount <= left[key] for key, amount in cost.items())
        open_job = one.job_id in snapshot.open_jobs
        assert verdict == ("job-ended" if not open_job else "granted" if fits else "limit-exceeded")
        if verdict == "granted":
            left.subtract(cost)
    assert min(left.values()) >= 0
    assert fitting == [one for one, verdict in zip(batch, verdicts, strict=True) if verdict == "granted"]
