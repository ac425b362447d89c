"""Failing workers: a training goes on after lost nodes, and raises what is wrong itself."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ray.train import ControllerError, TrainingFailedError, WorkerGroupError
from ray.train.v2._internal.exceptions import (
    UserExceptionWithTraceback,
    WorkerGroupStartupFailedError,
    WorkerGroupStartupTimeoutError,
)

from pagemill.applications.training_artefacts import TrainingKeys
from pagemill.errors import BadRequest
from pagemill.ids import JobId, OrganizationId, SubjectId
from pagemill.jobs.job import Job, KindName
from pagemill.pools import POOL_LABEL
from pagemill.settings import Settings
from train_jobs import fitting
from train_jobs.fitting import fit, in_thread, make_trainer
from train_jobs.worker import WorkerTask
from train_jobs.worker_group import ClusterNode, NoUsableGpu, WorkerGroup, plan_workers

SETTINGS = Settings(database_url="postgresql://x", objects_url="file:///objects", training_gpu=True)
NODE = ClusterNode({POOL_LABEL: "training"}, {"GPU": 1.0})
TRAINING_ID = "las:model-training:t"


def task() -> WorkerTask:
    job = Job(
        JobId("job"),
        KindName("training"),
        OrganizationId("o"),
        SubjectId(TRAINING_ID),
        {},
        attempt=1,
        maximum_attempts=5,
    )
    return WorkerTask(job, TrainingKeys("o/t/"), {}, None, [], gpu=True, reason="", begun=0.0)


class Cluster:
    """A cluster whose trainers fail as they are told, and which loses a node when one does, if told so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.errors: list[tuple[TrainingFailedError, bool]] = []
        self.lost: set[str] = set()
        self.started: list[int] = []
        monkeypatch.setattr(fitting, "make_trainer", self._make)
        monkeypatch.setattr(fitting, "lost_nodes", lambda: frozenset(self.lost))
        monkeypatch.setattr(fitting, "has_lost_node", lambda before, _seconds: not self.lost <= before)
        monkeypatch.setattr(fitting, "nodes_that_are_there", lambda: [NODE])

    def fail(self, error: TrainingFailedError, *, loses_a_node: bool = False) -> None:
        self.errors.append((error, loses_a_node))

    def fit(self, number: int = 2) -> None:
        group = plan_workers("medium-gpu", SETTINGS, [])
        assert group.number == number
        fit(SETTINGS, task(), group, lambda _config: None)

    def _make(
        self, _settings: Settings, _task: WorkerTask, group: WorkerGroup, _loop: Callable[..., None]
    ) -> Any:
        return SimpleNamespace(fit=lambda: self._run(group))

    def _run(self, group: WorkerGroup) -> None:
        self.started.append(group.number)
        if self.errors:
            error, loses_a_node = self.errors.pop(0)
            if loses_a_node:
                self.lost.add(f"node {len(self.started)}")
            raise error


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


def of_workers(error: Exception) -> WorkerGroupError:
    return WorkerGroupError("failed", {1: UserExceptionWithTraceback(error, "traceback")})


def test_a_training_goes_on_after_each_lost_node_with_the_workers_that_are_left(cluster: Cluster) -> None:
    for _ in range(5):
        cluster.fail(of_workers(ConnectionError("reset")), loses_a_node=True)
    cluster.fit()
    assert cluster.started == [2, 1, 1, 1, 1, 1]


def test_workers_that_find_no_place_are_fewer(cluster: Cluster) -> None:
    cluster.fail(ControllerError(WorkerGroupStartupTimeoutError(2)))
    cluster.fit()
    assert cluster.started == [2, 1]


@pytest.mark.parametrize(
    "error",
    [of_workers(ValueError("wrong")), ControllerError(WorkerGroupStartupFailedError("no start"))],
)
def test_what_fails_without_a_lost_node_is_tried_three_times(
    cluster: Cluster, error: TrainingFailedError
) -> None:
    for _ in range(3):
        cluster.fail(error)
    with pytest.raises(type(error)):
        cluster.fit()
    assert cluster.started == [2, 2, 2]


@pytest.mark.parametrize("error", [NoUsableGpu("torch"), BadRequest("dataBundleIds")])
def test_errors_of_the_platform_come_out_as_they_are(cluster: Cluster, error: Exception) -> None:
    cluster.fail(of_workers(error), loses_a_node=True)
    with pytest.raises(type(error), match=str(error)):
        cluster.fit()
    assert cluster.started == [2]


def test_ray_train_is_told_who_trains_and_what_counts_as_a_failure() -> None:
    trainer = make_trainer(SETTINGS, task(), plan_workers("small-gpu", SETTINGS, []), lambda _config: None)
    run, scaling = trainer.run_config, trainer.scaling_config
    assert (run.name, run.storage_path) == (TRAINING_ID, "/objects/o/t/run")
    assert run.failure_config is not None
    assert run.failure_config.max_failures == 0
    assert vars(run.failure_config)["max_preemption_failures"] == -1
    assert (scaling.num_workers, scaling.use_gpu) == (1, True)
    assert vars(scaling)["label_selector"] == {POOL_LABEL: "!in(head,reading,serving)"}


def test_a_thread_gives_its_result_or_its_error() -> None:
    assert in_thread(lambda: 7).result(timeout=60) == 7

    def fail() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        in_thread(fail).result(timeout=60)
