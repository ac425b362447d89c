"""Rehearsals on real nodes: how what was seen of them is judged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from benchmarks import rehearsal_nodes
from benchmarks.node_watch import Look, SeenNode
from benchmarks.rehearsal_autoscaler import IDLE_SECONDS, NODES, has_no_workers, judge
from benchmarks.rehearsal_drain import strangers
from benchmarks.stub_callers import Ended, Results
from benchmarks.stub_documents import ReadPage, StubContent
from benchmarks.stub_trainings import SavedEpoch, goes_on
from pagemill.pools import POOL_LABEL, Pool


def look(at: float, readers: int, *, others: int = 0) -> Look:
    pools = [Pool.HEAD] + [Pool.READING] * readers + [Pool.TRAINING] * others
    return Look(
        at=at,
        nodes=[
            SeenNode(
                node_id=str(number),
                node_type=pool,
                labels={POOL_LABEL: pool},
                status="RUNNING",
                activity=[],
            )
            for number, pool in enumerate(pools)
        ],
    )


def course(*counts: tuple[float, int]) -> list[Look]:
    return [look(at, readers, others=1) for at, readers in counts]


def test_nodes_that_come_and_go_in_time_hold() -> None:
    looks = course((90.0, 3), (100.0, 0), (104.0, 1), (109.0, NODES), (150.0, 1), (151.0, 0))

    seen = judge(looks, Pool.READING, asked=100.0, ended=130.0)

    assert (seen.first_node, seen.most_nodes, seen.gone) == (4.0, NODES, 20.0)
    assert seen.holds(NODES)


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param([(100.0, 0), (111.0, NODES), (120.0, 0)], id="the first comes late"),
        pytest.param([(104.0, NODES - 1), (120.0, 0)], id="too few come"),
        pytest.param([(104.0, NODES + 1), (120.0, 0)], id="too many come"),
        pytest.param([(104.0, NODES), (130.0 + IDLE_SECONDS + 31.0, 1), (180.0, 0)], id="one goes late"),
        pytest.param([(104.0, NODES), (140.0, 1)], id="one stays"),
        pytest.param([(104.0, 0)], id="none comes"),
    ],
)
def test_nodes_that_do_not_follow_do_not_hold(counts: Sequence[tuple[float, int]]) -> None:
    assert not judge(course(*counts), Pool.READING, asked=100.0, ended=130.0).holds(NODES)


def test_only_the_head_is_left() -> None:
    assert has_no_workers(look(0.0, 0))
    assert not has_no_workers(look(0.0, 1))
    assert not has_no_workers(look(0.0, 0, others=1))
    assert not has_no_workers(Look(at=0.0, nodes=[]))


@pytest.mark.parametrize(
    ("epochs", "holds"),
    [
        ([(1.0, 2), (2.0, 3), (11.0, 5)], True),
        ([(1.0, 2), (2.0, 3)], False),
        ([(1.0, 2), (2.0, 3), (11.0, 1), (12.0, 4)], False),
        ([], False),
    ],
    ids=["it goes on", "it ends there", "it begins anew", "it never saved"],
)
def test_a_training_that_goes_on_repeats_no_epoch(epochs: Sequence[tuple[float, int]], holds: bool) -> None:
    assert goes_on([SavedEpoch(at, epoch) for at, epoch in epochs], lost=10.0) is holds


def given(*, state: str = "succeeded", found: str = "one", pages: float = 3.0) -> Results:
    ended = Ended(StubContent("document", 3, 0.0), state, 2, found, datetime(2026, 1, 1, tzinfo=UTC))
    return Results([ended], {"predictions": 1.0, "pages": pages, "fields": 3.0})


def test_several_nodes_are_to_give_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal_nodes, "DOCUMENTS", 1)

    assert rehearsal_nodes.judge(given(), given())
    assert not rehearsal_nodes.judge(given(), given(state="failed"))
    assert not rehearsal_nodes.judge(given(), given(found="other"))
    assert not rehearsal_nodes.judge(given(), given(pages=4.0))
    assert not rehearsal_nodes.judge(given(), Results([], {}))


def test_the_longest_pause_is_between_two_ends() -> None:
    times = [datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC) for second in (9, 0, 1)]
    ended = [Ended(StubContent("document", 1, 0.0), "succeeded", 1, [], at) for at in times]

    results = Results(ended, {})
    assert results.longest_pause() == 8.0
    assert results.longest_pause(until=times[2].timestamp()) == 1.0
    assert results.longest_pause(since=times[0].timestamp()) == 0.0


def test_pages_in_progress_are_those_of_some_processes() -> None:
    reads = [
        ReadPage("one", 0, "begun", 0.0, 1),
        ReadPage("one", 0, "ended", 1.0, 1),
        ReadPage("one", 1, "begun", 1.0, 1),
        ReadPage("two", 0, "begun", 1.0, 2),
    ]

    assert rehearsal_nodes.pages_in_progress(reads, {1}) == 1
    assert rehearsal_nodes.pages_elsewhere(reads, {1}) == 1


def test_what_belongs_to_the_head_is_a_stranger_elsewhere() -> None:
    titles = [
        "/usr/bin/raylet",
        "ray::DispatcherActor",
        "ray::IDLE",
        "ray::RayTrainWorker",
        "ray::RuntimeEnvAgent",
        "ray::ServeReplica:reading:PageReading",
    ]

    assert strangers(titles) == ["ray::DispatcherActor"]
