"""The rehearsal of fairness in a small form: turns pass it, and what is unfair is found out."""

from __future__ import annotations

import pytest

from benchmarks import rehearsal_fairness
from benchmarks.rehearsal_fairness import is_in_time, judge, play, waits_as_divided, waits_equally
from benchmarks.rehearsal_pools import Cluster
from benchmarks.simulated_organizations import equal_loads, ideal_ends, unequal_loads
from benchmarks.simulated_queue import QueuedJob, SimulatedQueue, first_come
from pagemill.settings import Settings

ORGANIZATIONS, PAGES = 8, 6_000


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Cluster().settings({"PAGEMILL_DISPATCHERS": "3", "PAGEMILL_READING_REPLICAS_MAX": "40"})


def test_equal_loads_wait_equally(settings: Settings) -> None:
    jobs = equal_loads(1, organizations=ORGANIZATIONS, pages=PAGES)

    fair, unfair = judge(play(jobs, settings)), judge(play(jobs, settings, first_come))

    assert (fair["pages"], fair["organizations"], fair["nodes"]) == (PAGES, ORGANIZATIONS, 5)
    assert is_in_time(fair)
    assert waits_equally(fair)
    assert not waits_equally(unfair)


def test_nobody_waits_much_longer_than_with_an_even_division(settings: Settings) -> None:
    jobs = unequal_loads(2, organizations=ORGANIZATIONS, pages=PAGES, seconds=300.0)

    fair, unfair = judge(play(jobs, settings)), judge(play(jobs, settings, first_come))

    assert waits_as_divided(fair)
    assert not waits_as_divided(unfair)


def test_dispatchers_claim_together_what_one_would(settings: Settings) -> None:
    jobs = equal_loads(3, organizations=ORGANIZATIONS, pages=PAGES)
    alone = Cluster().settings({"PAGEMILL_DISPATCHERS": "1", "PAGEMILL_READING_REPLICAS_MAX": "40"})

    several, one = judge(play(jobs, settings)), judge(play(jobs, alone))

    assert abs(several["seconds"] - one["seconds"]) <= 0.02 * one["seconds"]


def test_too_few_nodes_are_found_out(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal_fairness, "NODES", 1)
    monkeypatch.setattr(rehearsal_fairness, "CPU_SECONDS", 6.0)

    assert not is_in_time(judge(play(equal_loads(4, organizations=2, pages=PAGES), settings)))


def job(name: str, created: float, pages: int = 1) -> QueuedJob:
    return QueuedJob(0, created, name, name[0], pages)


def test_an_even_division_serves_the_small_first() -> None:
    jobs = [job("a1", 0.0, 90), job("b1", 0.0, 4), job("a2", 0.0, 6)]

    ends = ideal_ends(jobs, [10.0] * 20, seconds_per_page=0.1)

    assert ends == {"a1": 10.0, "b1": 1.0, "a2": 10.0}


def test_a_page_takes_its_time_however_few_wait() -> None:
    assert ideal_ends([job("a1", 5.0, 2)], [100.0] * 20, seconds_per_page=4.0) == {"a1": 13.0}


def test_who_has_fewer_jobs_running_is_first() -> None:
    queue = SimulatedQueue()
    for name, created in (("a1", 1.0), ("a2", 2.0), ("a3", 3.0), ("b1", 4.0), ("b2", 5.0)):
        queue.add(job(name, created))

    claimed = [one.id for one in queue.claim(3)]
    queue.end(job("b1", 4.0))

    assert claimed == ["a1", "b1", "a2"]
    assert (queue.jobs, queue.oldest()) == (2, 3.0)
    assert [one.id for one in queue.claim(9)] == ["b2", "a3"]
    assert (queue.jobs, queue.pages, queue.oldest()) == (0, 0, None)
