"""Work of each training worker: epochs with checkpoints, then, on the first worker, the artefact."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import ray.train
import torch
from ray.train.torch import get_device, prepare_model

from db.pool import DATABASE_ERRORS
from pagemill.applications.training_artefacts import TrainingKeys, load_artefact, save_artefact
from pagemill.extraction.artefact import Artefact
from pagemill.extraction.tagger_training import TaggerTrainer, TrainingOptions, TrainingOutcome, prepare
from pagemill.extraction.types import Example
from pagemill.jobs.job import Job, JobCancelled
from pagemill.objects import ObjectMissing, ObjectStore, open_objects
from pagemill.settings import Settings, load_settings
from train_jobs import gather
from train_jobs.attempt_guard import AttemptGuard, set_training_status

STATE_FILE = "state.bin"
EPOCH_FILE = "epoch"
GPU_SECONDS_FILE = "gpu-seconds"

logger = logging.getLogger(__name__)


class WorkerTask(msgspec.Struct, frozen=True):
    """Task of the workers of one training; their settings come from their environment."""

    job: Job
    keys: TrainingKeys
    field_config: dict[str, Any]
    warm_start_key: str | None


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
    """Train as one worker. Returns without an artefact when the attempt no longer counts."""
    task: WorkerTask = config["task"]
    settings = load_settings(os.environ)
    torch.set_num_threads(max(1, settings.training_threads))
    context = ray.train.get_context()
    is_first = context.get_world_rank() == 0
    gpu_time = GpuTime(context.get_world_size() if settings.training_gpu else 0)
    with AttemptGuard(settings.database_url, task.job) as guard:
        if is_first:
            _tell_that_it_runs(settings, task.job)
        trainer = _make_trainer(
            task, settings, guard, rank=context.get_world_rank(), world_size=context.get_world_size()
        )
        _run_epochs(trainer, gpu_time, settings.training_checkpoint_interval, saves=is_first)
        if guard.is_lost() or not is_first:
            return
        # An error would have Ray Train start the workers again.
        with contextlib.suppress(JobCancelled):
            asyncio.run(set_training_status(settings.database_url, task.job, "running-final-evaluation"))
            asyncio.run(_save_outcome(settings, task.keys, trainer.finish(), gpu_time))


def _tell_that_it_runs(settings: Settings, job: Job) -> None:
    """Set the status. The guard, not this, ends a training that no longer counts."""
    try:
        asyncio.run(set_training_status(settings.database_url, job, "running"))
    except JobCancelled:
        return
    except DATABASE_ERRORS as error:
        logger.warning("the training runs, untold: %s: %s", type(error).__name__, error)


def _make_trainer(
    task: WorkerTask, settings: Settings, guard: AttemptGuard, *, rank: int, world_size: int
) -> TaggerTrainer:
    examples, warm_start = asyncio.run(_load(settings, task))
    options = TrainingOptions(time_budget_seconds=settings.training_budget)
    distributed: dict[str, Any] = {"wrap": prepare_model} if world_size > 1 else {}
    return TaggerTrainer(
        prepare(examples, task.field_config, options),
        options,
        warm_start=warm_start,
        device=str(get_device()),
        rank=rank,
        world_size=world_size,
        clock=time.monotonic,
        should_stop=guard.is_lost,
        **distributed,
    )


def _run_epochs(trainer: TaggerTrainer, gpu_time: GpuTime, interval: float, *, saves: bool) -> None:
    """Run epochs until the trainer is done, with a checkpoint every ``interval`` seconds."""
    epoch = _resume(trainer, gpu_time)
    saved = time.monotonic()
    while True:
        measures = trainer.run_epoch(epoch)
        if trainer.done(epoch):
            return
        epoch += 1
        if _any_worker(time.monotonic() - saved >= interval, trainer.device):
            _report(trainer, gpu_time, measures, epoch, saves=saves)
            saved = time.monotonic()


def _report(
    trainer: TaggerTrainer, gpu_time: GpuTime, measures: dict[str, float], epoch: int, *, saves: bool
) -> None:
    """Report to Ray Train, which waits for all workers; the one that ``saves`` adds the checkpoint."""
    if not saves:
        ray.train.report(measures)
        return
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, STATE_FILE).write_bytes(trainer.state())
        Path(directory, EPOCH_FILE).write_text(str(epoch))
        Path(directory, GPU_SECONDS_FILE).write_text(str(gpu_time.seconds))
        ray.train.report(measures, checkpoint=ray.train.Checkpoint.from_directory(directory))


def _resume(trainer: TaggerTrainer, gpu_time: GpuTime) -> int:
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


def _any_worker(due: bool, device: torch.device) -> bool:
    """Return whether it is due on any worker: they have to report together, and their clocks differ."""
    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1:
        return due
    shared = torch.tensor([float(due)], device=device)
    torch.distributed.all_reduce(shared, op=torch.distributed.ReduceOp.MAX)
    return bool(shared.item())


async def _load(settings: Settings, task: WorkerTask) -> tuple[list[Example], Artefact | None]:
    objects = open_objects(settings)
    try:
        examples = gather.decode(await objects.get(task.keys.examples))
        return examples, await _load_warm_start(objects, task.warm_start_key)
    finally:
        await objects.close()


async def _load_warm_start(objects: ObjectStore, artefact_key: str | None) -> Artefact | None:
    """Return the artefact to start from, or None when its training is gone."""
    if artefact_key is None:
        return None
    try:
        return await load_artefact(objects, artefact_key)
    except ObjectMissing:
        return None


async def _save_outcome(
    settings: Settings, keys: TrainingKeys, outcome: TrainingOutcome, gpu_time: GpuTime
) -> None:
    """Write the artefact, then the evaluation, which says that the training is done."""
    objects = open_objects(settings)
    try:
        await save_artefact(objects, keys.artefact, outcome.artefact)
        await objects.put(keys.gpu_seconds, msgspec.json.encode(gpu_time.seconds))
        await objects.put(keys.evaluation, msgspec.json.encode(outcome.evaluation))
    finally:
        await objects.close()
