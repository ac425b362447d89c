"""One training: examples are gathered, Ray Train trains on them, the result is collected."""

from __future__ import annotations

import asyncio
import importlib
import os
import threading
import time
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from ray import serve

from db.data_bundles import list_snapshot_keys
from db.pool import connect
from db.trainings import TrainingInputRow, get_training_input
from pagemill.applications.calling import answer_of
from pagemill.applications.requests import READING, ReadingRequest
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import OrganizationId, TrainingId
from pagemill.jobs.job import Job, JobCancelled
from pagemill.objects import ObjectMissing, ObjectStore, open_objects
from pagemill.settings import Settings, load_settings
from pagemill.work.trainings import TrainingResult
from train_jobs import examples, snapshot
from train_jobs.fence import advance
from train_jobs.places import TrainingPlaces

READING_SECONDS = 3600.0
WORKER_FAILURES = 2
RUN_NAME = "run"
# Ray Train's controller takes reports at this pace; its default of 2 s would be slower than small epochs.
HEALTH_CHECK_SECONDS = "0.2"


def run_training(job: Job) -> TrainingResult:
    """Train, or go on from the last checkpoint, or find that it has been done.

    Raises BadRequest when there is nothing to learn from, JobCancelled, Unavailable.
    """
    return _TrainingRun(load_settings(os.environ), job).run()


class _TrainingRun:
    def __init__(self, settings: Settings, job: Job) -> None:
        self._settings, self._job = settings, job
        self._places = TrainingPlaces.of(job.organization_id, job.subject_id)

    def run(self) -> TrainingResult:
        os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", HEALTH_CHECK_SECONDS)
        importing = threading.Thread(target=_import_ray_train, daemon=True)
        importing.start()
        work = asyncio.run(self._prepare())
        importing.join()
        seconds = self._fit(work) if work is not None else 0.0
        return asyncio.run(self._collect(seconds))

    async def _prepare(self) -> TrainingInputRow | None:
        """What to train, with the examples laid down for the workers; None when it has been done."""
        objects = open_objects(self._settings)
        try:
            if await _exists(objects, self._places.evaluation):
                return None
            await advance(self._settings.database_url, self._job, "preparing")
            work, keys = await self._work()
            if not await _exists(objects, self._places.examples):
                await self._gather(objects, keys)
        finally:
            await objects.close()
        await advance(self._settings.database_url, self._job, "running")
        return work

    async def _work(self) -> tuple[TrainingInputRow, list[str]]:
        organization_id = OrganizationId(self._job.organization_id)
        connection = await connect(self._settings.database_url, application_name="pagemill training")
        try:
            work = await get_training_input(
                connection, organization_id=organization_id, training_id=TrainingId(self._job.subject_id)
            )
            if work is None:
                raise NotFound("The training does not exist any more")
            keys = await list_snapshot_keys(
                connection, organization_id=organization_id, data_bundle_ids=work.data_bundle_ids
            )
        finally:
            await connection.close()
        return work, keys

    async def _gather(self, objects: ObjectStore, object_keys: list[str]) -> None:
        documents = snapshot.united([snapshot.decode(await objects.get(key)) for key in object_keys])
        handle = serve.get_app_handle(READING)

        async def read(request: ReadingRequest) -> object:
            return await answer_of(handle.read.remote(request), seconds=READING_SECONDS, who="Reading")

        gathering = examples.Gathering(objects, read, self._settings.training_pages_per_document)
        gathered = await gathering.gather(documents)
        if not any(example.ground_truth for example in gathered):
            raise BadRequest("dataBundleIds: no document can be read and has ground truth")
        await objects.put(self._places.examples, examples.encode(gathered))

    def _fit(self, work: TrainingInputRow) -> float:
        """Train; the seconds it took."""
        from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        from train_jobs.tagger_loop import LoopConfig, train_tagger

        settings = self._settings
        config = LoopConfig(
            job=self._job,
            places=self._places,
            field_config=work.field_config,
            warm_start_key=work.warm_start_key,
        )
        begun = time.monotonic()
        TorchTrainer(
            train_tagger,
            train_loop_config={"loop": config},
            scaling_config=ScalingConfig(
                num_workers=settings.training_workers,
                use_gpu=settings.training_gpu,
                resources_per_worker={
                    "CPU": settings.training_cpus,
                    **({"GPU": 1} if settings.training_gpu else {}),
                },
            ),
            run_config=RunConfig(
                name=RUN_NAME,
                failure_config=FailureConfig(max_failures=WORKER_FAILURES),
                checkpoint_config=CheckpointConfig(num_to_keep=1),
                **storage(settings, self._places.prefix),
            ),
        ).fit()
        return time.monotonic() - begun

    async def _collect(self, seconds: float) -> TrainingResult:
        """The evaluation; what only the training needed is removed.

        GPU hours are the hours of its GPUs, not of its CPUs: 0 without a GPU. An attempt that was lost is
        not counted.
        """
        objects = open_objects(self._settings)
        try:
            evaluation = msgspec.json.decode(await objects.get(self._places.evaluation))
            await objects.delete(self._places.examples)
            await objects.delete_prefix(self._places.checkpoints)
        except ObjectMissing as error:
            raise JobCancelled("The training was cancelled or taken over") from error
        finally:
            await objects.close()
        gpus = self._settings.training_workers if self._settings.training_gpu else 0
        return TrainingResult(
            evaluation=evaluation, artefact_key=self._places.artefact, gpu_hours=gpus * seconds / 3600
        )


def storage(settings: Settings, prefix: str) -> dict[str, Any]:
    """Where Ray Train keeps its checkpoints: below ``prefix`` in the object storage."""
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


async def _exists(objects: ObjectStore, key: str) -> bool:
    try:
        await objects.size(key)
    except ObjectMissing:
        return False
    return True


def _import_ray_train() -> None:
    importlib.import_module("ray.train.torch")
