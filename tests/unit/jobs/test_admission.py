"""The waiting time of a job is estimated from the queue, which is read about once a second."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.errors import QueueFull, Unavailable
from pagemill.jobs.admission import KEPT_SECONDS, QueueAdmission, QueueState, estimated_wait
from pagemill.jobs.job import BATCH, INTERACTIVE

OWN, OTHER, THIRD = "own", "other", "third"
depths = st.dictionaries(
    st.sampled_from([OWN, OTHER, THIRD]),
    st.dictionaries(st.sampled_from([INTERACTIVE, 5, BATCH]), st.integers(1, 1000), min_size=1),
)


@pytest.mark.parametrize(
    ("waiting", "priority", "seconds"),
    [
        ({}, INTERACTIVE, 0.0),
        ({OWN: {INTERACTIVE: 8}}, INTERACTIVE, 4.0),
        ({OWN: {BATCH: 8}}, INTERACTIVE, 0.0),
        ({OWN: {INTERACTIVE: 2, 5: 6}}, 5, 4.0),
        ({OTHER: {INTERACTIVE: 10_000}}, INTERACTIVE, 0.5),
        ({OTHER: {BATCH: 10_000}, THIRD: {5: 1}}, INTERACTIVE, 1.0),
        ({OWN: {INTERACTIVE: 3}, OTHER: {5: 10_000}}, INTERACTIVE, 3.5),
    ],
)
def test_only_jobs_that_go_first_count(
    waiting: dict[str, dict[int, int]], priority: int, seconds: float
) -> None:
    assert estimated_wait(QueueState(waiting, 2.0), OWN, priority, slots=4) == seconds


def test_without_experience_there_is_no_wait() -> None:
    assert estimated_wait(QueueState({OWN: {0: 9999}}, None), OWN, 0, slots=1) == 0.0


@given(waiting=depths, slots=st.integers(1, 64))
def test_another_organization_can_delay_by_no_more_than_one_turn_of_ones_own(
    waiting: dict[str, dict[int, int]], slots: int
) -> None:
    own = waiting.get(OWN, {}).get(INTERACTIVE, 0)
    wait = estimated_wait(QueueState(waiting, 1.0), OWN, INTERACTIVE, slots)
    assert wait <= (own + 2 * (own + 1)) / slots


@given(waiting=depths)
def test_a_synchronous_prediction_waits_no_longer_than_a_batch(
    waiting: dict[str, dict[int, int]],
) -> None:
    queue = QueueState(waiting, 1.0)
    waits = [estimated_wait(queue, OWN, priority, 4) for priority in (INTERACTIVE, 5, BATCH)]
    assert waits == sorted(waits)


class Queue:
    """A queue that is looked at, and a clock."""

    def __init__(self, waiting: int) -> None:
        self.waiting, self.now, self.looks = waiting, 0.0, 0
        self.slots = 0

    async def look(self) -> QueueState:
        self.looks += 1
        await asyncio.sleep(0)
        return QueueState({OWN: {INTERACTIVE: self.waiting}}, 1.0, self.slots)

    def admission(self, longest_wait: float) -> QueueAdmission:
        return QueueAdmission(self.look, longest_wait=longest_wait, slots=2, clock=lambda: self.now)


async def test_a_queue_that_is_too_long_is_told_with_the_time_to_come_again() -> None:
    admission = Queue(30).admission(longest_wait=10.0)
    with pytest.raises(QueueFull) as refused:
        await admission.admit(OWN, INTERACTIVE)
    assert isinstance(refused.value, Unavailable)
    assert refused.value.retry_after_seconds == 5
    await admission.admit(OTHER, INTERACTIVE)


async def test_the_time_to_come_again_is_limited() -> None:
    with pytest.raises(QueueFull) as refused:
        await Queue(1_000_000).admission(longest_wait=10.0).admit(OWN, INTERACTIVE)
    assert refused.value.retry_after_seconds == 60


async def test_zero_admits_all_without_reading_the_queue() -> None:
    queue = Queue(1_000_000)
    await queue.admission(longest_wait=0.0).admit(OWN, INTERACTIVE)
    assert queue.looks == 0


async def test_many_requests_look_once() -> None:
    queue = Queue(0)
    admission = queue.admission(longest_wait=10.0)
    await asyncio.gather(*(admission.admit(OWN, INTERACTIVE) for _ in range(100)))
    assert queue.looks == 1
    queue.waiting, queue.now = 1000, KEPT_SECONDS / 2
    await admission.admit(OWN, INTERACTIVE)
    queue.now = KEPT_SECONDS + 0.1
    with pytest.raises(QueueFull):
        await admission.admit(OWN, INTERACTIVE)
    assert queue.looks == 2


async def test_the_slots_that_are_announced_count() -> None:
    queue = Queue(30)
    queue.slots = 3
    await queue.admission(longest_wait=10.0).admit(OWN, INTERACTIVE)
    queue.slots = 1
    with pytest.raises(QueueFull) as refused:
        await queue.admission(longest_wait=10.0).admit(OWN, INTERACTIVE)
    assert refused.value.retry_after_seconds == 20
