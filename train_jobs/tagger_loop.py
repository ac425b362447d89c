"""What each training worker does: epochs with checkpoints, then, on the first of them, the artefact."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import ray.train
import torch
from ray.train.torch import get_device, prepare_model

from pagemill.extraction.artefact import Artefact
from pagemill.extraction.tagger_training import TaggerTrainer, TrainingOptions, TrainingOutcome, prepare
from pagemill.extraction.types import Example
from pagemill.jobs.job import Job, JobCancelled
from pagemill.objects import ObjectMissing, ObjectStore, open_objects
from pagemill.settings import Settings, load_settings
from train_jobs import examples
from train_jobs.fence import Watch, advance
from train_jobs.places import TrainingPlaces

STATE_FILE = "state.bin"
EPOCH_FILE = "epoch"


class LoopConfig(msgspec.Struct, frozen=True):
    """What a worker is told; settings come from its environment."""

    job: Job
    places: TrainingPlaces
    field_config: dict[str, Any]
    warm_start_key: str | None


def train_tagger(config: dict[str, Any]) -> None:
    """One worker's part. Ends without an artefact when the job does not count any more."""
    loop: LoopConfig = config["loop"]
    settings = load_settings(os.environ)
    torch.set_num_threads(max(1, settings.training_threads))
    context = ray.train.get_context()
    with Watch(settings.database_url, loop.job) as watch:
        trainer = _trainer(loop, settings, watch, context.get_world_rank(), context.get_world_size())
        _run_epochs(trainer, settings.training_checkpoint_interval, keeps=context.get_world_rank() == 0)
        if watch.over() or context.get_world_rank() != 0:
            return
        # An error would have Ray Train start the workers again.
        with contextlib.suppress(JobCancelled):
            asyncio.run(advance(settings.database_url, loop.job, "running-final-evaluation"))
            asyncio.run(_deliver(settings, loop.places, trainer.finish()))


def _trainer(loop: LoopConfig, settings: Settings, watch: Watch, rank: int, world_size: int) -> TaggerTrainer:
    documents, warm_start = asyncio.run(_load(settings, loop))
    options = TrainingOptions(time_budget_seconds=settings.training_budget)
    more: dict[str, Any] = {"wrap": prepare_model} if world_size > 1 else {}
    return TaggerTrainer(
        prepare(documents, loop.field_config, options),
        options,
        warm_start=warm_start,
        device=str(get_device()),
        rank=rank,
        world_size=world_size,
        clock=time.monotonic,
        should_stop=watch.over,
        **more,
    )


def _run_epochs(trainer: TaggerTrainer, interval: float, *, keeps: bool) -> None:
    """Epochs until the trainer is done; ``interval`` is the time between checkpoints in seconds."""
    epoch = _resume(trainer)
    kept = time.monotonic()
    while True:
        measures = trainer.run_epoch(epoch)
        if trainer.done(epoch):
            return
        epoch += 1
        if _any_worker(time.monotonic() - kept >= interval, trainer.device):
            _report(trainer, measures, epoch, keeps=keeps)
            kept = time.monotonic()


def _report(trainer: TaggerTrainer, measures: dict[str, float], epoch: int, *, keeps: bool) -> None:
    """Tell Ray Train, which waits for all workers; the first one's state is what is kept."""
    if not keeps:
        ray.train.report(measures)
        return
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, STATE_FILE).write_bytes(trainer.state())
        Path(directory, EPOCH_FILE).write_text(str(epoch))
        ray.train.report(measures, checkpoint=ray.train.Checkpoint.from_directory(directory))


def _resume(trainer: TaggerTrainer) -> int:
    """Take up the last checkpoint, if there is one; the epoch to begin with."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as directory:
        trainer.load_state(Path(directory, STATE_FILE).read_bytes())
        return int(Path(directory, EPOCH_FILE).read_text())


def _any_worker(due: bool, device: torch.device) -> bool:
    """Whether it is true of any worker: they have to report together, and their clocks differ."""
    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1:
        return due
    shared = torch.tensor([float(due)], device=device)
    torch.distributed.all_reduce(shared, op=torch.distributed.ReduceOp.MAX)
    return bool(shared.item())


async def _load(settings: Settings, loop: LoopConfig) -> tuple[list[Example], Artefact | None]:
    objects = open_objects(settings)
    try:
        documents = examples.decode(await objects.get(loop.places.examples))
        return documents, await _artefact(objects, loop.warm_start_key)
    finally:
        await objects.close()


async def _artefact(objects: ObjectStore, prefix: str | None) -> Artefact | None:
    """What to start from; a training that is gone is nothing to start from."""
    if prefix is None:
        return None
    try:
        return Artefact(
            weights=await objects.get(f"{prefix}weights.safetensors"),
            configuration=await objects.get(f"{prefix}configuration.json"),
        )
    except ObjectMissing:
        return None


async def _deliver(settings: Settings, places: TrainingPlaces, outcome: TrainingOutcome) -> None:
    objects = open_objects(settings)
    try:
        await objects.put(places.weights, outcome.artefact.weights)
        await objects.put(places.configuration, outcome.artefact.configuration)
        await objects.put(places.evaluation, msgspec.json.encode(outcome.evaluation))
    finally:
        await objects.close()
