"""Parts of Ray are killed in the middle of their work: it is done all the same, and counted once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from examples.demo.sample_documents import sample_documents
from pagemill.objects import ObjectStore
from pagemill.settings import Settings
from pagemill.work.data_bundles import DATA_BUNDLE
from pagemill.work.predictions import PREDICTION
from pagemill.work.trainings import TRAINING
from tests.support.labelled import (
    Labelled,
    store_data_bundle,
    store_document,
    store_labelled,
    store_prediction,
    store_training,
)
from tests.support.running import ended, eventually, ray_processes, submit
from tests.support.seeds import used
from tests.support.tenants import create_tenant
from tests.unit.extraction.documents import text_pdf

pytestmark = [pytest.mark.timeout(420), pytest.mark.chaos, pytest.mark.long]

Environment = dict[str, str]
PREDICTIONS = 20


@pytest.fixture(scope="module")
def training_budget() -> float:
    """Long enough for a checkpoint before the end on a busy machine."""
    return 60.0


async def labelled_documents(pool: asyncpg.Pool, objects: ObjectStore) -> Labelled:
    async with pool.acquire() as connection:
        organization_id = (await create_tenant(connection)).organization_id
    return await store_labelled(pool, objects, organization_id, sample_documents(12, seed=5, scans_every=0))


async def trained(pool: asyncpg.Pool, labelled: Labelled) -> str:
    """The training that runs once its bundle is made."""
    bundle_id = await store_data_bundle(pool, labelled)
    await submit(pool, DATA_BUNDLE, labelled.organization_id, bundle_id)
    assert (await ended(pool, "data_bundle", bundle_id, seconds=60))["status"] == "succeeded"
    training_id = await store_training(pool, labelled, [bundle_id])
    await submit(pool, TRAINING, labelled.organization_id, training_id)
    return training_id


async def test_killed_workers_and_dispatchers(
    cluster: Environment, settings: Settings, pool: asyncpg.Pool, objects: ObjectStore
) -> None:
    labelled = await labelled_documents(pool, objects)
    training_id = await trained(pool, labelled)
    await a_worker_is_killed_after_a_checkpoint(settings, training_id)
    training = await ended(pool, "training", training_id, seconds=180)
    assert training["status"] == "succeeded"
    attempt = await pool.fetchval("SELECT attempt FROM job WHERE subject_id = $1", training_id)
    assert attempt == 1, "Ray Train starts a lost worker again by itself"

    predictions = []
    for _ in range(PREDICTIONS):
        document_id = await store_document(pool, objects, labelled.organization_id, text_pdf(2))
        predictions.append(await store_prediction(pool, labelled, training_id, document_id))
    for prediction_id in predictions:
        await submit(pool, PREDICTION, labelled.organization_id, prediction_id)
    for title in ("DispatcherActor", "PageReading", "UsageCounter", "FieldPrediction"):
        for process in ray_processes(settings, title):
            process.kill()
    rows = [await ended(pool, "prediction", prediction_id, seconds=120) for prediction_id in predictions]
    assert [(row["status"], row["error"]) for row in rows] == [("succeeded", None)] * PREDICTIONS
    assert await used(pool, labelled.organization_id, "pages") == 2 * PREDICTIONS


async def a_worker_is_killed_after_a_checkpoint(settings: Settings, training_id: str) -> None:
    directory = Path(settings.objects_url.removeprefix("file://")) / "organizations"
    slug = training_id.rsplit(":", 1)[-1]

    async def checkpoint() -> bool:
        found = await asyncio.to_thread(lambda: list(directory.rglob(f"{slug}/run/**/state.bin")))
        return bool(found)

    await eventually(checkpoint, seconds=90)
    workers = ray_processes(settings, "RayTrainWorker")
    assert workers
    for worker in workers:
        worker.kill()
