"""A training worker: epochs with checkpoints, resuming, and the artefact of the first worker."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

import msgspec
import pytest
import ray.train
import torch

from pagemill.applications.training_artefacts import TrainingKeys, load_artefact
from pagemill.extraction.artefact import Artefact
from pagemill.extraction.ranks import Ranks, SingleRank
from pagemill.extraction.tagger_training import TrainingOutcome
from pagemill.ids import JobId, OrganizationId, SubjectId
from pagemill.jobs.job import Job, JobCancelled, KindName
from pagemill.objects import ObjectMissing, ObjectStore
from pagemill.settings import Settings
from train_jobs import worker
from train_jobs.worker import (
    EPOCH_FILE,
    GPU_SECONDS_FILE,
    STATE_FILE,
    Device,
    WorkerTask,
    device_of_worker,
    train_worker,
)
from train_jobs.worker_group import NoUsableGpu

KEYS = TrainingKeys("organizations/o/trainings/t/")
JOB = Job(
    JobId("job"),
    KindName("training"),
    OrganizationId("las:organization:o"),
    SubjectId("las:model-training:t"),
    {},
    1,
    5,
)
TASK = WorkerTask(
    job=JOB,
    keys=KEYS,
    field_config={},
    warm_start_key=None,
    bundle_keys=[],
    gpu=False,
    reason="small-gpu asks for 1",
    begun=0.0,
)
WORKERS = {"number": 1, "device": "cpu", "reason": "small-gpu asks for 1"}
OUTCOME = TrainingOutcome(Artefact(b"weights", b"{}"), {"accuracy": 1.0})
EPOCHS = 4


class Trainer:
    """A trainer of four epochs."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.epochs: list[int] = []
        self.loaded: bytes | None = None

    def run_epoch(self, epoch: int) -> dict[str, float]:
        self.epochs.append(epoch)
        return {"loss": float(epoch)}

    def done(self, epoch: int) -> bool:
        return epoch == EPOCHS - 1

    def state(self) -> bytes:
        return f"after {self.epochs[-1]}".encode()

    def load_state(self, state: bytes) -> None:
        self.loaded = state

    def finish(self) -> TrainingOutcome:
        return OUTCOME


class LikeRanks:
    """A rank of several that are all in the same state."""

    def __init__(self, run: Run) -> None:
        self.rank, self.size = run.rank, run.size

    def gather(self, value: Any) -> list[Any]:
        return [value] * self.size

    def add(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor * self.size


class Guard:
    """A guard of an attempt that is lost or not."""

    lost = False

    def __init__(self, *_arguments: Any) -> None:
        pass

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        pass

    def is_lost(self) -> bool:
        return self.lost


class Run:
    """A run of one worker in place of Ray Train's: its trainer, reports and statuses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, objects_directory: Path) -> None:
        self.trainer = Trainer(SingleRank())
        self.statuses: list[str] = []
        self.writers = 0
        self.reports: list[tuple[float, dict[str, bytes] | None]] = []
        self.checkpoint: ray.train.Checkpoint | None = None
        self.cancelled = False
        self.rank, self.size, self.interval = 0, 1, 0.0
        self.gpus, self.now = 0, 1000.0
        self.status_error: Exception | None = None
        self._objects_url = objects_directory.as_uri()
        monkeypatch.setattr(ray.train, "get_context", lambda: self)
        monkeypatch.setattr(ray.train, "get_checkpoint", lambda: self.checkpoint)
        monkeypatch.setattr(ray.train, "report", self._report)
        monkeypatch.setattr(worker, "AttemptGuard", Guard)
        monkeypatch.setattr(worker, "ProgressWriter", self._writer)
        monkeypatch.setattr(worker, "TorchRanks", lambda: LikeRanks(self))
        monkeypatch.setattr(
            worker, "device_of_worker", lambda *_arguments: Device(torch.device("cpu"), self.gpus)
        )
        monkeypatch.setattr(worker, "load_settings", lambda _environment: self._settings())
        monkeypatch.setattr(worker, "_make_trainer", lambda *_arguments, **_options: self.trainer)
        monkeypatch.setattr(worker, "set_training_status", self._set_status)
        monkeypatch.setattr(torch, "set_num_threads", lambda _number: None)
        # Each look at the clock takes a second.
        monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=self._next_second, time=time.time))

    def _writer(self, _database_url: str, _job: Job, trainer: Trainer) -> AbstractContextManager[None]:
        assert trainer is self.trainer
        self.writers += 1
        return nullcontext()

    def get_world_size(self) -> int:
        return self.size

    def train(self) -> None:
        train_worker({"task": TASK})

    def _settings(self) -> Settings:
        return Settings(
            database_url="postgresql://unused",
            objects_url=self._objects_url,
            token_key="unused",
            training_checkpoint_interval=self.interval,
        )

    def _report(self, measures: dict[str, float], checkpoint: ray.train.Checkpoint | None = None) -> None:
        files = None
        if checkpoint is not None:
            with checkpoint.as_directory() as directory:
                files = {path.name: path.read_bytes() for path in Path(directory).iterdir()}
        self.reports.append((measures["loss"], files))

    def _next_second(self) -> float:
        self.now += 1.0
        return self.now

    async def _set_status(self, _database_url: str, _job: Job, status: str) -> None:
        if self.status_error is not None:
            raise self.status_error
        if self.cancelled:
            raise JobCancelled("The training was cancelled")
        self.statuses.append(status)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, objects_directory: Path) -> Run:
    return Run(monkeypatch, objects_directory)


def test_a_checkpoint_follows_each_epoch_but_the_last(run: Run) -> None:
    run.train()
    assert run.trainer.epochs == list(range(EPOCHS))
    assert run.reports == [
        (
            float(epoch),
            {
                STATE_FILE: f"after {epoch}".encode(),
                EPOCH_FILE: str(epoch + 1).encode(),
                GPU_SECONDS_FILE: b"0.0",
            },
        )
        for epoch in range(EPOCHS - 1)
    ]


def test_no_checkpoint_before_its_interval(run: Run) -> None:
    run.interval = 3600.0
    run.train()
    assert (run.trainer.epochs, run.reports) == (list(range(EPOCHS)), [])


def test_other_workers_report_without_a_checkpoint(run: Run) -> None:
    run.rank, run.size = 1, 2
    run.train()
    assert run.reports == [(float(epoch), None) for epoch in range(EPOCHS - 1)]
    assert run.writers == 0
    run.rank = 0
    run.train()
    assert run.writers == 1


def checkpoint_in(directory: Path, **files: str) -> ray.train.Checkpoint:
    directory.mkdir()
    (directory / STATE_FILE).write_bytes(b"state")
    (directory / EPOCH_FILE).write_text("2")
    for name, text in files.items():
        (directory / name.replace("_", "-")).write_text(text)
    return ray.train.Checkpoint.from_directory(directory)


def test_a_worker_resumes_from_the_checkpoint(run: Run, tmp_path: Path) -> None:
    run.checkpoint = checkpoint_in(tmp_path / "checkpoint")
    run.train()
    assert (run.trainer.loaded, run.trainer.epochs) == (b"state", [2, 3])


async def test_the_first_worker_saves_the_artefact(run: Run, objects: ObjectStore) -> None:
    await in_thread(run)
    assert run.statuses == ["running", "running-final-evaluation"]
    assert await load_artefact(objects, KEYS.artefact) == OUTCOME.artefact
    evaluation = msgspec.json.decode(await objects.get(KEYS.evaluation))
    assert evaluation == {"accuracy": 1.0, "workers": WORKERS}


@pytest.mark.parametrize("reason", ["another worker", "lost", "cancelled"])
async def test_no_artefact(
    run: Run, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """Another worker than the first, and a worker whose attempt no longer counts, save nothing."""
    if reason == "another worker":
        run.rank, run.size = 1, 2
    run.cancelled = reason == "cancelled"
    monkeypatch.setattr(Guard, "lost", reason == "lost")
    await in_thread(run)
    assert run.statuses == (["running"] if reason == "lost" else [])
    with pytest.raises(ObjectMissing):
        await objects.get(KEYS.evaluation)


async def test_a_training_runs_though_its_status_cannot_be_told(run: Run, objects: ObjectStore) -> None:
    run.status_error = ConnectionRefusedError("Postgres is away")
    with pytest.raises(ConnectionRefusedError):
        # Only its end has to be told.
        await in_thread(run)
    assert run.trainer.epochs == list(range(EPOCHS))


async def gpu_seconds(objects: ObjectStore) -> float:
    return float(await objects.get(KEYS.gpu_seconds))


async def test_without_gpus_no_time_of_theirs_is_counted(run: Run, objects: ObjectStore) -> None:
    await in_thread(run)
    assert await gpu_seconds(objects) == 0.0


async def test_gpu_time_is_that_of_all_workers_from_the_moment_they_have_them(
    run: Run, objects: ObjectStore
) -> None:
    run.gpus = 1
    await in_thread(run)
    alone, ticks = await gpu_seconds(objects), run.now - 1001.0
    assert alone == ticks
    run.size, run.now = 3, 1000.0
    await in_thread(run)
    assert await gpu_seconds(objects) == 3 * alone


async def test_gpu_time_before_the_checkpoint_is_counted_and_lost_work_is_not(
    run: Run, objects: ObjectStore, tmp_path: Path
) -> None:
    run.gpus = 1
    run.checkpoint = checkpoint_in(tmp_path / "with", gpu_seconds="500.5")
    await in_thread(run)
    assert await gpu_seconds(objects) == 500.5 + run.now - 1001.0
    reported = [float(files[GPU_SECONDS_FILE]) for _, files in run.reports if files]
    assert reported == sorted(reported)
    assert 500.5 < reported[0] < await gpu_seconds(objects)


async def test_a_checkpoint_of_a_release_without_gpu_time_is_taken(
    run: Run, objects: ObjectStore, tmp_path: Path
) -> None:
    run.gpus = 1
    run.checkpoint = checkpoint_in(tmp_path / "without")
    await in_thread(run)
    assert await gpu_seconds(objects) == run.now - 1001.0


async def in_thread(run: Run) -> None:
    """Run the worker, which starts event loops of its own."""
    await asyncio.to_thread(run.train)


def settings(**more: Any) -> Settings:
    return Settings(database_url="postgresql://unused", objects_url="file:///unused", **more)


def test_a_worker_without_a_gpu_runs_on_cpus() -> None:
    assert device_of_worker(settings(), TASK) == Device(torch.device("cpu"), 0)


def test_a_gpu_that_torch_cannot_use_is_an_error_where_gpus_are_asked_for() -> None:
    with pytest.raises(NoUsableGpu, match="torch cannot use the GPU"):
        device_of_worker(settings(training_gpu=True), msgspec.structs.replace(TASK, gpu=True))


def test_a_gpu_that_torch_cannot_use_is_not_billed_where_none_was_asked_for() -> None:
    device = device_of_worker(settings(), msgspec.structs.replace(TASK, gpu=True))
    assert device == Device(torch.device("cpu"), 0)
