"""Trainings: an actor gathers examples, has Ray Train's workers learn from them, and collects the result."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import msgspec
import ray
from ray.actor import ActorHandle

from db.data_bundles import list_data_bundle_keys
from db.pool import DATABASE_ERRORS, connect
from db.trainings import TrainingInputRow, get_training_input
from pagemill.applications.calling import answer_of
from pagemill.applications.clients import ReadingApplication
from pagemill.applications.training_artefacts import TrainingKeys
from pagemill.documents import bundle_contents
from pagemill.errors import NotFound
from pagemill.ids import SubjectId, TrainingId
from pagemill.jobs.job import Job, JobCancelled
from pagemill.jobs.job_spans import within_active_trace
from pagemill.objects import ObjectMissing, ObjectStore, open_objects
from pagemill.pools import job_driver
from pagemill.settings import Settings, load_settings
from pagemill.tracing.configuration import close_tracing, configure_tracing
from pagemill.tracing.spans import continue_trace, set_on_active_span, span
from pagemill.work.trainings import TrainingResult
from train_jobs import gather
from train_jobs.abandoned_places import free_abandoned_places, free_when_abandoned
from train_jobs.attempt_guard import set_training_status, tell_that_training_waits
from train_jobs.fitting import TrainLoop, fit, import_ray_train, in_thread
from train_jobs.training_metrics import TrainingMetrics
from train_jobs.worker_group import nodes_that_are_there, plan_workers, wait_for_training

READING_SECONDS = 3600.0
PLACE_SECONDS = 10.0
"""Workers whose place is there have begun by then."""

logger = logging.getLogger(__name__)


class TrainingRunner:
    """Runner of training jobs, each with an actor. When it is cancelled, it kills the actor."""

    def __init__(self, settings: Settings, actor: type[TrainingActor] | None = None) -> None:
        self._actor = ray.remote(actor or TrainingActor).options(**job_driver(settings).actor_options)
        self._freeing: set[asyncio.Task[None]] = set()
        self._metrics = TrainingMetrics()

    async def __call__(self, job: Job) -> TrainingResult:
        """Return the result; another attempt resumes from the checkpoint.

        Raises BadRequest when there is nothing to learn from, JobCancelled, Unavailable, WorkerLost.
        """
        await asyncio.to_thread(free_abandoned_places)
        actor = self._actor.remote(job.subject_id)
        try:
            result: TrainingResult = await answer_of(
                actor.run.remote(within_active_trace(job)), seconds=None, who="Training", alone=True
            )
            self._metrics.used_gpus(3600 * result.gpu_hours)
            return result
        finally:
            # Ray declares what remote() returns as a handle or a class.
            ray.kill(cast("ActorHandle[TrainingActor]", actor))
            freeing = asyncio.create_task(free_when_abandoned(), name="free places")
            self._freeing.add(freeing)
            freeing.add_done_callback(self._freeing.discard)


class TrainingActor:
    """Driver of one training. It needs no CPU: its workers take the CPUs and GPUs."""

    def __init__(self, training_id: SubjectId) -> None:
        self._training_id = training_id

    def __repr__(self) -> str:
        """Return what Ray's dashboard and logs show of the actor."""
        return f"TrainingActor({self._training_id})"

    @ray.method
    def run(self, job: Job) -> TrainingResult:
        """Run the job."""
        settings = load_settings(os.environ)
        configure_tracing(settings, "training")
        try:
            with continue_trace(job.trace_context, "train"):
                return train(settings, job)
        finally:
            # Whoever gets the answer kills the actor.
            close_tracing()


def train(settings: Settings, job: Job, *, loop: TrainLoop | None = None) -> TrainingResult:
    """Prepare the examples, train on them, and collect the result.

    It resumes from the last checkpoint, and trains no more when the evaluation is already there. ``loop``
    runs in each worker, in place of ``train_worker``. Raises BadRequest when there is nothing to learn from,
    JobCancelled, NoNodeForTraining, NoUsableGpu, Unavailable.
    """
    keys = TrainingKeys.of(job.organization_id, TrainingId(job.subject_id))
    # Importing Ray Train takes seconds, as does gathering.
    importing = threading.Thread(target=import_ray_train, daemon=True)
    importing.start()
    with span("gather"):
        prepared = asyncio.run(_prepare(settings, job, keys))
        importing.join()
    if prepared is not None:
        with span("fit"):
            _fit(settings, job, keys, prepared, loop)
    with span("collect"):
        return asyncio.run(_collect(settings, keys))


def _fit(
    settings: Settings, job: Job, keys: TrainingKeys, prepared: PreparedTraining, loop: TrainLoop | None
) -> None:
    """Train with as many workers, and on such devices, as the request, the settings and the cluster allow."""
    from train_jobs.worker import WorkerTask, train_worker

    group = plan_workers(prepared.input.instance_type, settings, nodes_that_are_there())
    logger.info("%s: %d workers; %s", job.subject_id, group.number, group.reason)
    set_on_active_span({"pagemill.training.workers": group.number})
    task = WorkerTask(
        job=within_active_trace(job),
        keys=keys,
        field_config=prepared.input.field_config,
        warm_start_key=prepared.input.warm_start_key,
        bundle_keys=prepared.bundle_keys,
        gpu=group.gpu,
        reason=group.reason,
        begun=time.time(),
    )
    with telling_that_it_waits(settings, job):
        training = in_thread(lambda: fit(settings, task, group, loop or train_worker))
        wait_for_training(training, group.placement, settings.training_node_wait)


@contextlib.contextmanager
def telling_that_it_waits(settings: Settings, job: Job, *, seconds: float = PLACE_SECONDS) -> Iterator[None]:
    """Have the training be pending while its workers have no place after some seconds.

    They tell themselves when they run. A node may take minutes to come, and Ray Train asks for ever.
    """
    timer = threading.Timer(seconds, _tell_that_it_waits, (settings.database_url, job))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _tell_that_it_waits(database_url: str, job: Job) -> None:
    try:
        asyncio.run(tell_that_training_waits(database_url, job))
    except DATABASE_ERRORS as error:
        logger.warning("the training waits, untold: %s: %s", type(error).__name__, error)


@dataclass(frozen=True, slots=True)
class PreparedTraining:
    """Input of a training, and the keys of the data sets of its examples, oldest first."""

    input: TrainingInputRow
    bundle_keys: list[str]


async def _prepare(settings: Settings, job: Job, keys: TrainingKeys) -> PreparedTraining | None:
    """Find the examples, gather those of snapshots; return None when the training is already done."""
    objects = open_objects(settings)
    try:
        if await _exists(objects, keys.evaluation):
            return None
        await set_training_status(settings.database_url, job, "preparing")
        training_input, bundle_keys = await _load_input(settings, job)
        datasets = [key for key in bundle_keys if key.endswith("/")]
        if len(datasets) < len(bundle_keys) or not bundle_keys:
            snapshot_keys = [key for key in bundle_keys if not key.endswith("/")]
            await _gather(settings, objects, snapshot_keys, keys)
            datasets.insert(0, keys.examples)
    finally:
        await objects.close()
    return PreparedTraining(training_input, datasets)


async def _gather(
    settings: Settings, objects: ObjectStore, snapshot_keys: list[str], keys: TrainingKeys
) -> None:
    """Write the examples of snapshots, which former releases made of data bundles, as a data set."""
    if await _exists(objects, keys.examples + bundle_contents.NAME):
        return
    examples = await gather.gather_examples(
        objects,
        ReadingApplication.find(seconds=READING_SECONDS),
        snapshot_keys,
        pages_per_document=settings.training_pages_per_document,
    )
    await gather.write_dataset(objects, keys.examples, examples)


async def _load_input(settings: Settings, job: Job) -> tuple[TrainingInputRow, list[str]]:
    """Return what to train, and the keys of its data bundles, oldest first. Raises NotFound."""
    connection = await connect(settings.database_url, application_name="pagemill training")
    try:
        training_input = await get_training_input(
            connection, organization_id=job.organization_id, training_id=TrainingId(job.subject_id)
        )
        if training_input is None:
            raise NotFound("The training does not exist any more")
        bundle_keys = await list_data_bundle_keys(
            connection, organization_id=job.organization_id, data_bundle_ids=training_input.data_bundle_ids
        )
    finally:
        await connection.close()
    return training_input, bundle_keys


async def _collect(settings: Settings, keys: TrainingKeys) -> TrainingResult:
    """Return the evaluation and the GPU hours, and delete what only the training needed.

    Raises JobCancelled when the workers stopped before they had finished.
    """
    objects = open_objects(settings)
    try:
        evaluation = msgspec.json.decode(await objects.get(keys.evaluation))
        gpu_seconds = await _gpu_seconds(objects, keys)
        await objects.delete_prefix(keys.examples)
        await objects.delete_prefix(keys.checkpoints)
    except ObjectMissing as error:
        raise JobCancelled("The training was cancelled or taken over") from error
    finally:
        await objects.close()
    return TrainingResult(evaluation=evaluation, artefact_key=keys.artefact, gpu_hours=gpu_seconds / 3600)


async def _gpu_seconds(objects: ObjectStore, keys: TrainingKeys) -> float:
    """Return what the workers measured; a former release did not write it."""
    try:
        return msgspec.json.decode(await objects.get(keys.gpu_seconds), type=float)
    except ObjectMissing:
        return 0.0


async def _exists(objects: ObjectStore, key: str) -> bool:
    try:
        await objects.size(key)
    except ObjectMissing:
        return False
    return True
