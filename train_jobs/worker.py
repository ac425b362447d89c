"""Work of each training worker: epochs with checkpoints, then the artefact, which the first worker saves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import msgspec
import ray.train
import torch
from ray.train.torch import get_device

from db.pool import DATABASE_ERRORS
from pagemill.applications.training_artefacts import TrainingKeys, load_artefact, save_artefact
from pagemill.errors import BadRequest
from pagemill.extraction.artefact import Artefact
from pagemill.extraction.cross_fitting import CrossFittingTrainer
from pagemill.extraction.preparation import prepare_folds
from pagemill.extraction.ranks import Ranks, SingleRank, TorchRanks, any_rank
from pagemill.extraction.tagger_training import TaggerTrainer, TrainingOptions, prepare
from pagemill.extraction.types import Example
from pagemill.jobs.job import Job, JobCancelled
from pagemill.objects import ObjectMissing, open_objects
from pagemill.settings import Settings, load_settings
from pagemill.tracing.configuration import close_tracing, configure_tracing
from pagemill.tracing.spans import continue_trace, span
from pagemill.working_directories import sweep_working_directories, working_directory
from train_jobs.attempt_guard import AttemptGuard, set_training_status
from train_jobs.shards import all_examples, shard_of_worker
from train_jobs.training_metrics import TrainingMetrics
from train_jobs.training_progress import ProgressWriter
from train_jobs.worker_group import NoUsableGpu

STATE_FILE = "state.bin"
EPOCH_FILE = "epoch"
GPU_SECONDS_FILE = "gpu-seconds"

Trainer: TypeAlias = TaggerTrainer | CrossFittingTrainer

logger = logging.getLogger(__name__)


class _Common(TypedDict):
    """The arguments that trainers have in common."""

    warm_start: Artefact | None
    device: str
    ranks: Ranks
    clock: Callable[[], float]
    should_stop: Callable[[], bool]


class WorkerTask(msgspec.Struct, frozen=True):
    """Task of the workers of one training; their settings come from their environment.

    ``bundle_keys`` are the data sets of examples, oldest first. Where ``gpu`` is set each worker has a GPU;
    ``reason`` says why so many workers on such a device. ``begun`` is the Unix time from which on they waited
    for a node.
    """

    job: Job
    keys: TrainingKeys
    field_config: dict[str, Any]
    warm_start_key: str | None
    bundle_keys: list[str]
    gpu: bool
    reason: str
    begun: float


@dataclass(frozen=True, slots=True)
class Device:
    """Device of a worker, and the GPUs that it takes for it."""

    torch_device: torch.device
    gpus: int


def device_of_worker(settings: Settings, task: WorkerTask) -> Device:
    """Return the device that Ray gave this worker.

    Raises NoUsableGpu when torch cannot use the GPU and the settings ask for one; else it is a CPU, and no
    time of the GPU is billed.
    """
    if not task.gpu:
        return Device(torch.device("cpu"), 0)
    if torch.cuda.is_available():
        return Device(get_device(), 1)
    if settings.training_gpu:
        raise NoUsableGpu("torch cannot use the GPU of its node: is the CUDA build of torch installed there?")
    logger.warning("torch cannot use the GPU of its node: the training runs on CPUs")
    return Device(torch.device("cpu"), 0)


class GpuTime:
    """Time that all GPUs of a training spend on it, from the moment its workers have them.

    What is lost with a worker, after its last checkpoint, is not counted.
    """

    def __init__(self, gpus: int) -> None:
        self._gpus, self._before = gpus, 0.0
        self._begun = time.monotonic()

    def resume(self, before: float) -> None:
        """Count what was spent before the checkpoint that the worker resumes from."""
        self._before = before

    @property
    def seconds(self) -> float:
        """Seconds up to now, of all GPUs together."""
        return self._before + self._gpus * (time.monotonic() - self._begun)


def train_worker(config: dict[str, Any]) -> None:
    """Train as one worker. Returns without an artefact when the attempt no longer counts.

    Raises BadRequest when no document has ground truth, NoUsableGpu.
    """
    task: WorkerTask = config["task"]
    settings = load_settings(os.environ)
    sweep_working_directories()
    is_traced = task.job.trace_context is not None and ray.train.get_context().get_world_rank() == 0
    if is_traced:
        configure_tracing(settings, "training-worker")
    try:
        with continue_trace(task.job.trace_context, "work"):
            _train_as_worker(task, settings)
    finally:
        if is_traced:
            close_tracing()


def _train_as_worker(task: WorkerTask, settings: Settings) -> None:
    torch.set_num_threads(max(1, settings.training_threads))
    device = device_of_worker(settings, task)
    size = ray.train.get_context().get_world_size()
    ranks: Ranks = TorchRanks() if size > 1 else SingleRank()
    is_first = ranks.rank == 0
    gpu_time = GpuTime(sum(ranks.gather(device.gpus)))
    with AttemptGuard(settings.database_url, task.job) as guard:
        if is_first:
            _tell_that_it_runs(settings, task)
        with span("prepare"):
            trainer = _make_trainer(task, settings, guard, ranks, device.torch_device)
        telling = ProgressWriter(settings.database_url, task.job, trainer) if is_first else nullcontext()
        with span("run epochs"), telling:
            _run_epochs(trainer, gpu_time, settings.training_checkpoint_interval, saves=is_first)
        # They judge together: where one has stopped, none may wait for it.
        if any_rank(ranks, guard.is_lost() or (is_first and not _begins_evaluation(settings, task.job))):
            return
        with span("evaluate"):
            outcome = trainer.finish()
        if is_first:
            evaluation = {**outcome.evaluation, "workers": _workers(size, device, task)}
            with span("save"):
                asyncio.run(_save_outcome(settings, task.keys, outcome.artefact, evaluation, gpu_time))


def _workers(number: int, device: Device, task: WorkerTask) -> dict[str, Any]:
    return {"number": number, "device": "gpu" if device.gpus else "cpu", "reason": task.reason}


def _begins_evaluation(settings: Settings, job: Job) -> bool:
    """Set the status, and return whether the attempt still counts; an error would restart the workers."""
    try:
        asyncio.run(set_training_status(settings.database_url, job, "running-final-evaluation"))
    except JobCancelled:
        return False
    return True


def _tell_that_it_runs(settings: Settings, task: WorkerTask) -> None:
    """Set the status. The guard, not this, ends a training that no longer counts."""
    if ray.train.get_checkpoint() is None:
        TrainingMetrics().waited(time.time() - task.begun)
    try:
        asyncio.run(set_training_status(settings.database_url, task.job, "running"))
    except JobCancelled:
        return
    except DATABASE_ERRORS as error:
        logger.warning("the training runs, untold: %s: %s", type(error).__name__, error)


def _make_trainer(
    task: WorkerTask, settings: Settings, guard: AttemptGuard, ranks: Ranks, device: torch.device
) -> Trainer:
    """Return the trainer of this worker's examples. Raises BadRequest when none of all has ground truth."""
    options = TrainingOptions(time_budget_seconds=settings.training_budget, folds=settings.training_folds)
    examples = _Watched(shard_of_worker() if ranks.size > 1 else all_examples(settings, task.bundle_keys))
    parts = (
        prepare_folds(examples, task.field_config, options, ranks)
        if options.folds > 1
        else [prepare(examples, task.field_config, options, ranks)]
    )
    if not any_rank(ranks, examples.labelled):
        raise BadRequest("dataBundleIds: no document can be read and has ground truth")
    warm_start = asyncio.run(_load_warm_start(settings, task.warm_start_key))
    common = _Common(
        warm_start=warm_start,
        device=str(device),
        ranks=ranks,
        clock=time.monotonic,
        should_stop=guard.is_lost,
    )
    if options.folds > 1:
        return CrossFittingTrainer(parts, options, **common)
    return TaggerTrainer(parts[0], options, **common)


class _Watched:
    """Examples that are iterated once; ``labelled`` says whether one had ground truth."""

    def __init__(self, examples: Iterator[Example]) -> None:
        self._examples, self.labelled = examples, False

    def __iter__(self) -> Iterator[Example]:
        for example in self._examples:
            self.labelled = self.labelled or bool(example.ground_truth)
            yield example


def _run_epochs(trainer: Trainer, gpu_time: GpuTime, interval: float, *, saves: bool) -> None:
    """Run epochs until the trainer is done, with a checkpoint every ``interval`` seconds."""
    epoch = _resume(trainer, gpu_time)
    saved = time.monotonic()
    while True:
        measures = trainer.run_epoch(epoch)
        if trainer.done(epoch):
            return
        epoch += 1
        # They have to report together, and their clocks differ.
        if any_rank(trainer.ranks, time.monotonic() - saved >= interval):
            _report(trainer, gpu_time, measures, epoch, saves=saves)
            saved = time.monotonic()


def _report(
    trainer: Trainer,
    gpu_time: GpuTime,
    measures: dict[str, float],
    epoch: int,
    *,
    saves: bool,
) -> None:
    """Report to Ray Train, which waits for all workers; the one that ``saves`` adds the checkpoint."""
    if not saves:
        ray.train.report(measures)
        return
    with working_directory() as directory:
        Path(directory, STATE_FILE).write_bytes(trainer.state())
        Path(directory, EPOCH_FILE).write_text(str(epoch))
        Path(directory, GPU_SECONDS_FILE).write_text(str(gpu_time.seconds))
        ray.train.report(measures, checkpoint=ray.train.Checkpoint.from_directory(directory))


def _resume(trainer: Trainer, gpu_time: GpuTime) -> int:
    """Load the last checkpoint, if there is one, and return the epoch to begin with."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as directory:
        trainer.load_state(Path(directory, STATE_FILE).read_bytes())
        # A former release did not write it.
        with contextlib.suppress(FileNotFoundError):
            gpu_time.resume(float(Path(directory, GPU_SECONDS_FILE).read_text()))
        return int(Path(directory, EPOCH_FILE).read_text())


async def _load_warm_start(settings: Settings, artefact_key: str | None) -> Artefact | None:
    """Return the artefact to start from, or None when its training is gone."""
    if artefact_key is None:
        return None
    objects = open_objects(settings)
    try:
        return await load_artefact(objects, artefact_key)
    except ObjectMissing:
        return None
    finally:
        await objects.close()


async def _save_outcome(
    settings: Settings,
    keys: TrainingKeys,
    artefact: Artefact,
    evaluation: dict[str, Any],
    gpu_time: GpuTime,
) -> None:
    """Write the artefact, then the evaluation, which says that the training is done."""
    objects = open_objects(settings)
    try:
        await save_artefact(objects, keys.artefact, artefact)
        await objects.put(keys.gpu_seconds, msgspec.json.encode(gpu_time.seconds))
        await objects.put(keys.evaluation, msgspec.json.encode(evaluation))
    finally:
        await objects.close()
