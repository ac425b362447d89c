"""Workers of trainings: how many, on what, and how long they are waited for."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from db.trainings import InstanceType
from pagemill.pools import POOL_LABEL
from pagemill.settings import Settings
from train_jobs import worker_group
from train_jobs.worker_group import (
    ClusterNode,
    NoNodeForTraining,
    has_lost_node,
    plan_workers,
    wait_for_training,
)

LAPTOP = ClusterNode({}, {"CPU": 8.0, "memory": 1e10})
HEAD = ClusterNode({POOL_LABEL: "head"}, {"memory": 1e10})
READING = ClusterNode({POOL_LABEL: "reading"}, {"CPU": 8.0, "memory": 1e10})
SERVING = ClusterNode({POOL_LABEL: "serving"}, {"GPU": 1.0, "memory": 1e10})
TRAINING = ClusterNode({POOL_LABEL: "training"}, {"GPU": 1.0, "memory": 1e10})


def settings(**more: Any) -> Settings:
    return Settings(database_url="postgresql://x", objects_url="file:///x", **more)


def planned(instance_type: InstanceType, *nodes: ClusterNode, **more: Any) -> tuple[bool, int]:
    group = plan_workers(instance_type, settings(**more), nodes)
    return group.gpu, group.number


@pytest.mark.parametrize("instance_type", ["small-gpu", "medium-gpu", "large-gpu"])
def test_a_laptop_has_one_worker(instance_type: InstanceType) -> None:
    assert planned(instance_type, LAPTOP) == (False, 1)


def test_more_workers_on_one_machine_have_to_be_asked_for() -> None:
    assert planned("small-gpu", LAPTOP, training_workers=2) == (False, 2)
    assert planned("medium-gpu", LAPTOP, training_workers=2) == (False, 2)


@pytest.mark.parametrize(
    ("instance_type", "workers"), [("small-gpu", 1), ("medium-gpu", 2), ("large-gpu", 3)]
)
def test_without_gpus_there_is_a_worker_for_a_node(instance_type: InstanceType, workers: int) -> None:
    assert planned(instance_type, HEAD, SERVING, READING, READING, READING) == (False, workers)


@pytest.mark.parametrize(
    ("instance_type", "workers"), [("small-gpu", 1), ("medium-gpu", 2), ("large-gpu", 4)]
)
def test_gpus_that_are_asked_for_may_still_come(instance_type: InstanceType, workers: int) -> None:
    assert planned(instance_type, HEAD, READING, training_gpu=True) == (True, workers)


def test_the_settings_bound_the_workers() -> None:
    assert planned("large-gpu", training_gpu=True, training_workers_max=3) == (True, 3)
    assert planned("large-gpu", training_gpu=True, training_workers=6) == (True, 6)


def test_gpus_that_are_there_are_used() -> None:
    own = ClusterNode({}, {"CPU": 8.0, "GPU": 2.0, "memory": 1e10})
    assert planned("small-gpu", own) == (True, 1)
    assert planned("large-gpu", own) == (True, 2)
    assert planned("large-gpu", HEAD, TRAINING) == (True, 1)


def test_gpus_of_another_pool_and_gpus_that_are_refused_are_not_used() -> None:
    assert planned("small-gpu", HEAD, SERVING, READING) == (False, 1)
    assert planned("small-gpu", HEAD, TRAINING, READING, training_gpu=False) == (False, 1)


def test_there_are_fewer_workers_where_fewer_nodes_have_come() -> None:
    group = plan_workers("large-gpu", settings(training_gpu=True), [])
    assert group.resized([TRAINING, TRAINING, SERVING, READING]).number == 2
    assert group.resized([TRAINING]).resized([TRAINING] * 9).number == 4
    assert group.resized([]).number == 1


def test_the_reason_names_what_decided() -> None:
    assert plan_workers("small-gpu", settings(), [LAPTOP]).reason == (
        "small-gpu asks for 1; on CPUs, since no GPU is there; nodes: 1"
    )
    assert "PAGEMILL_TRAINING_GPU" in plan_workers("small-gpu", settings(training_gpu=True), []).reason
    assert plan_workers("small-gpu", settings(), [TRAINING]).reason.endswith("may take: 1")


def test_a_node_without_the_memory_that_workers_reserve_does_not_count() -> None:
    assert planned("large-gpu", READING, READING, training_memory=8.0) == (False, 2)
    assert planned("large-gpu", READING, READING, training_memory=16.0) == (False, 1)


class Watch:
    """A cluster whose nodes change at each look, between which ten seconds pass."""

    def __init__(self, *looks: list[ClusterNode], ends_after: int | None = None) -> None:
        self.looks, self.now, self.training = list(looks), 0.0, Future[str]()
        self._ends_after = ends_after

    def nodes(self) -> list[ClusterNode]:
        self.now += 10.0
        if self._ends_after is not None and self.now >= self._ends_after:
            self.training.set_result("trained")
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def wait(self, limit: float) -> str:
        placement = plan_workers("small-gpu", settings(training_gpu=True), []).placement
        return wait_for_training(
            self.training, placement, limit, nodes=self.nodes, clock=lambda: self.now, look=0.001
        )


def test_a_training_whose_node_never_comes_fails_with_the_reason() -> None:
    watch = Watch([HEAD, READING, SERVING])
    with pytest.raises(NoNodeForTraining, match="No node with a GPU for trainings has come"):
        watch.wait(60)
    assert watch.now == 60.0


def test_a_busy_node_is_waited_for_as_long_as_it_is_there() -> None:
    watch = Watch([TRAINING], ends_after=5000)
    assert watch.wait(60) == "trained"


def test_the_time_begins_anew_when_the_node_goes() -> None:
    watch = Watch([], [TRAINING], [])
    with pytest.raises(NoNodeForTraining):
        watch.wait(60)
    assert watch.now == 80.0


def test_without_a_limit_it_waits() -> None:
    assert Watch([], ends_after=50_000).wait(0) == "trained"


@pytest.mark.parametrize("error", [ValueError("wrong"), TimeoutError("of the training itself")])
def test_errors_of_the_training_are_raised(error: Exception) -> None:
    watch = Watch([TRAINING])
    watch.training.set_exception(error)
    with pytest.raises(type(error), match=str(error)):
        watch.wait(60)


def test_a_lost_node_is_noticed_when_the_cluster_knows_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([frozenset({"old"}), frozenset({"old", "new"})])
    monkeypatch.setattr(worker_group, "lost_nodes", lambda: next(looks))
    assert has_lost_node(frozenset({"old"}), 30.0)


def test_no_lost_node_is_no_reason_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_group, "lost_nodes", frozenset)
    assert not has_lost_node(frozenset(), 0.0)
