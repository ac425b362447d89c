"""Batches of a device: threads share them, in turn, and each gets its own results or errors."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from pagemill.extraction.recognition.shared_batches import SharedBatches

SECONDS = 60


class Doubler:
    """Records its batches; holds the first one until it is released."""

    def __init__(self, *, hold: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.entered, self.release = threading.Event(), threading.Event()
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        if not hold:
            self.release.set()

    def __call__(self, batch: Sequence[int]) -> list[int]:
        with self._lock:
            self.batches.append(list(batch))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.entered.set()
        assert self.release.wait(SECONDS)
        with self._lock:
            self.at_once -= 1
        if 13 in batch:
            raise ValueError("13 is not doubled")
        return [2 * number for number in batch]


def shared(run: Doubler, *, size: int = 4, places: int = 1) -> SharedBatches[int, int]:
    return SharedBatches(run, kind=lambda number: number % 2, size=size, places=threading.Semaphore(places))


def test_results_keep_the_order_of_their_items() -> None:
    run = Doubler()
    assert shared(run).results([5, 2, 3, 8, 1]) == [10, 4, 6, 16, 2]
    assert sorted(run.batches) == [[2, 8], [5, 3, 1]]


def test_nothing_is_run_for_nothing() -> None:
    run = Doubler()
    assert shared(run).results([]) == []
    assert run.batches == []


def test_a_batch_is_no_larger_than_its_size() -> None:
    run = Doubler()
    shared(run, size=2).results([2, 4, 6, 8, 10])
    assert run.batches == [[2, 4], [6, 8], [10]]


def test_kinds_take_turns() -> None:
    run = Doubler()
    shared(run, size=2).results([2, 4, 6, 8, 1])
    assert run.batches == [[2, 4], [1], [6, 8]]


def test_threads_share_a_batch() -> None:
    run = Doubler(hold=True)
    batches = shared(run)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(batches.results, [2])
        assert run.entered.wait(SECONDS)
        others = [pool.submit(batches.results, [number]) for number in (4, 6, 8)]
        waiting = threading.Event()
        while sum(map(len, batches._waiting.values())) < 3:
            waiting.wait(0.001)
        run.release.set()
        assert [first.result(SECONDS), *(other.result(SECONDS) for other in others)] == [[4], [8], [12], [16]]
    assert run.batches[0] == [2]
    assert sorted(run.batches[1]) == [4, 6, 8]


def test_an_error_is_raised_where_the_batch_was_asked_for() -> None:
    run = Doubler()
    batches = shared(run, size=1)
    with pytest.raises(ValueError, match="13 is not doubled"):
        batches.results([3, 13])
    assert batches.results([4]) == [8]


@pytest.mark.parametrize("places", [1, 3])
def test_no_more_run_at_a_time_than_there_are_places(places: int) -> None:
    run = Doubler()
    batches = shared(run, size=2, places=places)
    with ThreadPoolExecutor(8) as pool:
        asked = [list(range(start, start + 20)) for start in range(20, 180, 20)]
        results = list(pool.map(batches.results, asked))
    assert results == [[2 * number for number in one] for one in asked]
    assert run.most_at_once <= places
