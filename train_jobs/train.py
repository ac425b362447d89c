"""Trainings: an actor gathers examples, has Ray Train's workers learn from them, and collects the result."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import msgspec
import ray
from ray.actor import ActorHandle

from db.data_bundles import list_snapshot_keys
from db.pool import DATABASE_ERRORS, connect
from db.trainings import TrainingInputRow, get_training_input
from pagemill.applications.calling import answer_of
from pagemill.applications.clients import ReadingApplication
from pagemill.applications.training_artefacts import TrainingKeys
from pagemill.errors import NotFound
from pagemill.ids import TrainingId
from pagemill.jobs.job import Job, JobCancelled
from pagemill.objects import ObjectMissing, ObjectStore, open_objects
from pagemill.pools import job_driver, training_worker
from pagemill.settings import Settings, load_settings
from pagemill.work.trainings import TrainingResult
from train_jobs import gather
from train_jobs.attempt_guard import set_training_status, tell_that_training_waits

READING_SECONDS = 3600.0
WORKER_FAILURES = 2
RUN_NAME = "run"
# Ray Train's controller takes reports at this pace; its default of 2 s would be slower than small epochs.
HEALTH_CHECK_SECONDS = "0.2"
# A node takes minutes to come. Ray Train would give up each minute, log an error, and ask again.
NODE_SECONDS = "900"
PLACE_SECONDS = 10.0
"""Workers whose place is there have begun by then."""

logger = logging.getLogger(__name__)


class TrainingRunner:
    """Runner of training jobs, each with an actor. When it is cancelled, it kills the actor."""

    def __init__(self, settings: Settings) -> None:
        self._actor = ray.remote(TrainingActor).options(**job_driver(settings).actor_options)

    async def __call__(self, job: Job) -> TrainingResult:
        """Return the result; another attempt resumes from the checkpoint.

        Raises BadRequest when there is nothing to learn from, JobCancelled, Unavailable, WorkerLost.
        """
        actor = self._actor.remote()
        try:
            return await answer_of(actor.run.remote(job), seconds=None, who="Training", alone=True)
        finally:
            # Ray declares what remote() returns as a handle or a class.
            ray.kill(cast("ActorHandle[TrainingActor]", actor))


class TrainingActor:
    """Driver of one training. It needs no CPU: its workers take the CPUs and GPUs."""

    @ray.method
    def run(self, job: Job) -> TrainingResult:
        """Run the job."""
        return train(load_settings(os.environ), job)


def train(settings: Settings, job: Job) -> TrainingResult:
    """Gather the examples, train on them, and collect the result.

    It resumes from the last checkpoint, and trains no more when the evaluation is already there. Raises
    BadRequest when there is nothing to learn from, JobCancelled, Unavailable.
    """
    keys = TrainingKeys.of(job.organization_id, TrainingId(job.subject_id))
    # Importing Ray Train takes seconds, as does gathering.
    importing = threading.Thread(target=_import_ray_train, daemon=True)
    importing.start()
    training_input = asyncio.run(_prepare(settings, job, keys))
    importing.join()
    if training_input is not None:
        with telling_that_it_waits(settings, job):
            _fit(settings, job, keys, training_input)
    return asyncio.run(_collect(settings, keys))


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


def _import_ray_train() -> None:
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", HEALTH_CHECK_SECONDS)
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", NODE_SECONDS)
    importlib.import_module("ray.train.torch")


async def _prepare(settings: Settings, job: Job, keys: TrainingKeys) -> TrainingInputRow | None:
    """Write the examples for the workers; return None when the training is already done."""
    objects = open_objects(settings)
    try:
        if await _exists(objects, keys.evaluation):
            return None
        await set_training_status(settings.database_url, job, "preparing")
        training_input, snapshot_keys = await _load_input(settings, job)
        if not await _exists(objects, keys.examples):
            examples = await gather.gather_examples(
                objects,
                ReadingApplication.find(seconds=READING_SECONDS),
                snapshot_keys,
                pages_per_document=settings.training_pages_per_document,
            )
            await objects.put(keys.examples, gather.encode(examples))
    finally:
        await objects.close()
    return training_input


async def _load_input(settings: Settings, job: Job) -> tuple[TrainingInputRow, list[str]]:
    """Return what to train, and the keys of the snapshots, oldest first. Raises NotFound."""
    connection = await connect(settings.database_url, application_name="pagemill training")
    try:
        training_input = await get_training_input(
            connection, organization_id=job.organization_id, training_id=TrainingId(job.subject_id)
        )
        if training_input is None:
            raise NotFound("The training does not exist any more")
        snapshot_keys = await list_snapshot_keys(
            connection, organization_id=job.organization_id, data_bundle_ids=training_input.data_bundle_ids
        )
    finally:
        await connection.close()
    return training_input, snapshot_keys


def _fit(settings: Settings, job: Job, keys: TrainingKeys, training_input: TrainingInputRow) -> None:
    """Train with Ray Train."""
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    from train_jobs.worker import WorkerTask, train_worker

    task = WorkerTask(
        job=job,
        keys=keys,
        field_config=training_input.field_config,
        warm_start_key=training_input.warm_start_key,
    )
    worker = training_worker(settings)
    TorchTrainer(
        train_worker,
        train_loop_config={"task": task},
        scaling_config=ScalingConfig(
            num_workers=settings.training_workers,
            use_gpu=worker.gpus > 0,
            resources_per_worker=worker.bundle,
            # Ray's types are those of Train's first version.
            **cast("Any", {"label_selector": worker.label_selector}),
        ),
        run_config=RunConfig(
            name=RUN_NAME,
            failure_config=FailureConfig(max_failures=WORKER_FAILURES),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            **checkpoint_storage(settings, keys.prefix),
        ),
    ).fit()


def checkpoint_storage(settings: Settings, prefix: str) -> dict[str, Any]:
    """Return the arguments that make Ray Train keep its checkpoints below ``prefix`` in object storage."""
    url = urlsplit(settings.objects_url)
    if url.scheme == "file":
        return {"storage_path": f"{unquote(url.path).rstrip('/')}/{prefix.rstrip('/')}"}
    from pyarrow.fs import S3FileSystem  # type: ignore[import-untyped]

    endpoint = urlsplit(settings.s3_endpoint_url or "")
    # Keys go in the file system object, never in a URL: Ray logs URLs.
    filesystem = S3FileSystem(
        access_key=settings.s3_access_key_id,
        secret_key=settings.s3_secret_access_key,
        region=settings.s3_region,
        scheme=endpoint.scheme or "https",
        endpoint_override=endpoint.netloc or None,
    )
    parts = [url.netloc, url.path.strip("/"), prefix.rstrip("/")]
    return {"storage_path": "/".join(part for part in parts if part), "storage_filesystem": filesystem}


async def _collect(settings: Settings, keys: TrainingKeys) -> TrainingResult:
    """Return the evaluation and the GPU hours, and delete what only the training needed.

    Raises JobCancelled when the workers stopped before they had finished.
    """
    objects = open_objects(settings)
    try:
        evaluation = msgspec.json.decode(await objects.get(keys.evaluation))
        gpu_seconds = await _gpu_seconds(objects, keys)
        await objects.delete(keys.examples)
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
