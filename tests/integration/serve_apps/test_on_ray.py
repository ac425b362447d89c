"""What runs on Ray, deployed as in use, on a local Ray: read, bundle, train, predict, cancel.

The acceptance tests show the way that all goes, on their stack; these look at what lies behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from db.pool import create_pool
from examples.demo.sample_documents import sample_documents
from pagemill.applications.requests import PredictionRequest
from pagemill.cluster.dispatchers import replace_dispatchers
from pagemill.documents.words import find_pages, store_pages, words_of
from pagemill.errors import DocumentUnreadable, ModelMissing, NotFound
from pagemill.extraction.types import Page, Reading, ReadOptions
from pagemill.jobs.queue import request_cancel
from pagemill.objects import ObjectStore, open_objects
from pagemill.objects.keys import new_content_key
from pagemill.settings import Settings
from pagemill.work.data_bundles import DATA_BUNDLE
from pagemill.work.predictions import PREDICTION
from pagemill.work.trainings import TRAINING
from tests.support.labelled import (
    PREPROCESS_CONFIG,
    Labelled,
    store_data_bundle,
    store_document,
    store_labelled,
    store_prediction,
    store_training,
)
from tests.support.ray_cluster import NAMESPACE, run_driver
from tests.support.running import TRAINING_PROCESSES, ended, eventually, ray_processes, submit
from tests.support.seeds import used
from tests.support.tenants import create_tenant
from tests.unit.extraction.documents import crowded_pdf, text_pdf

pytestmark = [pytest.mark.timeout(420), pytest.mark.long]

TRAINING_DOCUMENTS = 24
ARTEFACT_FILES = ("configuration.json", "digests.json", "weights.safetensors")
Environment = dict[str, str]


@dataclass(frozen=True, slots=True)
class Trained:
    """What one bundle and one training of the module came to."""

    labelled: Labelled
    data_bundle: dict[str, Any]
    training: dict[str, Any]


@pytest.fixture(scope="module")
def trained(settings: Settings, cluster: Environment) -> Trained:
    """A bundle of readable and unreadable documents, and a training on it, run by the dispatcher."""
    return asyncio.run(_train(settings))


async def _train(settings: Settings) -> Trained:
    pool = await create_pool(settings.database_url, size=4)
    objects = open_objects(settings)
    async with pool.acquire() as connection:
        organization_id = (await create_tenant(connection)).organization_id
    documents = sample_documents(TRAINING_DOCUMENTS, seed=3, scans_every=0)
    labelled = await store_labelled(pool, objects, organization_id, documents)
    for content in (None, text_pdf(password="secret")):
        await store_document(pool, objects, organization_id, content, dataset_id=labelled.dataset_id)
    bundle_id = await store_data_bundle(pool, labelled)
    await submit(pool, DATA_BUNDLE, organization_id, bundle_id)
    data_bundle = await ended(pool, "data_bundle", bundle_id, seconds=120)
    training_id = await store_training(pool, labelled, [bundle_id])
    await submit(pool, TRAINING, organization_id, training_id)
    training = await ended(pool, "training", training_id, seconds=240)
    await pool.close()
    return Trained(labelled, data_bundle, training)


async def test_a_document_is_read_once_and_its_words_are_cached(
    cluster: Environment, objects: ObjectStore
) -> None:
    from tests.support.ray_calls import read

    key = new_content_key("las:organization:reading", "las:document:once")
    await objects.put(key, text_pdf(3))

    first = await read(key, max_pages=2)
    await objects.delete(key)
    second = await read(key, max_pages=2)

    assert (first.pages.number_of_pages, first.pages.indexes, first.next_page) == (3, [0, 1], 2)
    words = await words_of(objects, first.pages)
    assert "Heading" in [word.text for word in words[0].words]
    assert second == first
    with pytest.raises(NotFound):
        await read(key, max_pages=3)


async def test_an_unreadable_document_fails_alone(cluster: Environment, objects: ObjectStore) -> None:
    from tests.support.ray_calls import read

    bad = new_content_key("las:organization:reading", "las:document:bad")
    good = new_content_key("las:organization:reading", "las:document:good")
    await objects.put(bad, text_pdf(password="secret"))
    await objects.put(good, text_pdf())

    with pytest.raises(DocumentUnreadable, match="encrypted") as caught:
        await read(bad)
    assert type(caught.value) is DocumentUnreadable
    assert (await read(good)).pages.indexes == [0]


async def test_predicting_without_the_weights_fails_by_name(
    cluster: Environment, objects: ObjectStore
) -> None:
    from tests.support.ray_calls import predict

    reading = Reading(1, [Page(0, 1.0, "text", [])])
    pages = await store_pages(objects, "organizations/o/documents/d/content/c", ReadOptions(), reading)
    with pytest.raises(ModelMissing, match="weights"):
        await predict("nothing/there/", PredictionRequest(pages, {}))


def test_a_bundle_lists_the_documents_that_it_cannot_read(trained: Trained) -> None:
    assert trained.data_bundle["status"] == "succeeded"
    summary = trained.data_bundle["summary"]
    messages = [error["message"] for error in summary["errors"] if error["code"] == "DE001"]
    assert sorted(messages) == ["The PDF is encrypted", "The document has no content"]
    assert summary["aggregate"]["numberOfDocuments"] == TRAINING_DOCUMENTS + 2


async def test_a_second_bundle_succeeds(trained: Trained, pool: asyncpg.Pool) -> None:
    bundle_id = await store_data_bundle(pool, trained.labelled)
    await submit(pool, DATA_BUNDLE, trained.labelled.organization_id, bundle_id)
    bundle = await ended(pool, "data_bundle", bundle_id, seconds=60)
    assert (bundle["status"], bundle["summary"]) == ("succeeded", trained.data_bundle["summary"])
    attempt = await pool.fetchval("SELECT attempt FROM job WHERE subject_id = $1", bundle_id)
    assert attempt == 1


async def test_a_bundle_is_a_data_set_of_the_readable_documents(
    trained: Trained, objects: ObjectStore
) -> None:
    from train_jobs.bundle_dataset import iterate_examples

    examples = [one async for one in iterate_examples(objects, [trained.data_bundle["object_key"]])]
    assert len(examples) == TRAINING_DOCUMENTS
    assert all(one.ground_truth and one.pages[0].words for one in examples)
    assert (trained.data_bundle["documents_read"], trained.data_bundle["documents"]) == (
        TRAINING_DOCUMENTS + 2,
        TRAINING_DOCUMENTS + 2,
    )


async def test_a_training_leaves_weights_that_cannot_run_code(trained: Trained, objects: ObjectStore) -> None:
    training = trained.training
    assert training["status"] == "succeeded"
    assert training["gpu_hours"] == 0.0
    assert training["progress"]["step"] > 0
    assert set(training["evaluation"]["fields"]) >= {"total", "supplier", "items"}
    prefix = training["artefact_key"]
    keys = sorted([key async for key in objects.list(prefix)])
    assert keys == [
        f"{prefix}{name}" for name in ("configuration.json", "digests.json", "weights.safetensors")
    ]
    weights = await objects.get(f"{prefix}weights.safetensors")
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    assert all(set(entry) == {"dtype", "shape", "data_offsets"} for name, entry in header.items())
    assert "fields" in json.loads(await objects.get(f"{prefix}configuration.json"))


async def test_a_training_deletes_its_examples_and_checkpoints(
    trained: Trained, objects: ObjectStore
) -> None:
    prefix = trained.training["artefact_key"].removesuffix("artefact/")
    left = {key.removeprefix(prefix) async for key in objects.list(prefix)}
    artefact = {f"artefact/{name}" for name in ARTEFACT_FILES}
    assert left == {*artefact, "evaluation.json", "gpu-seconds.json"}


async def test_predictions_go_through_the_dispatcher_and_are_counted_once(
    trained: Trained, pool: asyncpg.Pool, objects: ObjectStore
) -> None:
    organization_id = trained.labelled.organization_id
    documents = sample_documents(6, seed=99, scans_every=0)
    before = {meter: await used(pool, organization_id, meter) for meter in ("pages", "fields")}
    predictions = []
    for document in documents:
        document_id = await store_document(pool, objects, organization_id, document.content)
        prediction_id = await store_prediction(pool, trained.labelled, trained.training["id"], document_id)
        await submit(pool, PREDICTION, organization_id, prediction_id)
        predictions.append(prediction_id)
    rows = [await ended(pool, "prediction", prediction_id, seconds=60) for prediction_id in predictions]

    assert [row["status"] for row in rows] == ["succeeded"] * len(rows)
    found = [item for row in rows for item in row["predictions"] if item["label"] == "total"]
    assert all(0 <= item["confidence"] <= 1 for item in found)
    assert any(item["value"] for item in found)
    assert all(row["inference_time"] > 0 for row in rows)
    pages = sum(min(document.number_of_pages, 3) for document in documents)
    assert await used(pool, organization_id, "pages") - before["pages"] == pages
    assert await used(pool, organization_id, "fields") > before["fields"]


async def test_a_long_document_with_many_words_goes_through_both_applications(
    trained: Trained, pool: asyncpg.Pool, objects: ObjectStore
) -> None:
    """110 pages of 700 words: more than a message of Serve can carry, read and predicted in two parts."""
    organization_id = trained.labelled.organization_id
    document_id = await store_document(pool, objects, organization_id, crowded_pdf(110, 700))
    content_key = await pool.fetchval("SELECT content_key FROM document WHERE id = $1", document_id)
    for start, next_page in ((0, 100), (100, None)):
        prediction_id = await store_prediction(pool, trained.labelled, trained.training["id"], document_id)
        await pool.execute(
            "UPDATE prediction SET preprocess_config = $2 WHERE id = $1",
            prediction_id,
            {**PREPROCESS_CONFIG, "maxPages": 100, "startPage": start},
        )
        job_id = await submit(pool, PREDICTION, organization_id, prediction_id)
        row = await ended(pool, "prediction", prediction_id, seconds=150)
        assert (row["status"], row["error"], row["next_page"]) == ("succeeded", None, next_page)
        assert await pool.fetchval("SELECT attempt FROM job WHERE id = $1", job_id) == 1

    stored = await find_pages(objects, content_key, ReadOptions())
    assert (stored.number_of_pages, stored.indexes) == (110, list(range(110)))
    words = [len(page.words) for page in await words_of(objects, stored)]
    assert words == [700] * 110


async def test_a_prediction_of_an_unreadable_document_fails_and_costs_nothing(
    trained: Trained, pool: asyncpg.Pool, objects: ObjectStore
) -> None:
    organization_id = trained.labelled.organization_id
    before = await used(pool, organization_id, "pages")
    document_id = await store_document(pool, objects, organization_id, text_pdf(password="secret"))
    prediction_id = await store_prediction(pool, trained.labelled, trained.training["id"], document_id)
    job_id = await submit(pool, PREDICTION, organization_id, prediction_id)

    row = await ended(pool, "prediction", prediction_id, seconds=60)

    assert (row["status"], row["error"]) == ("failed", "The PDF is encrypted")
    assert await used(pool, organization_id, "pages") == before
    job = await pool.fetchrow("SELECT error_class, attempt FROM job WHERE id = $1", job_id)
    assert tuple(job) == ("DocumentUnreadable", 1)


async def test_a_prediction_without_the_weights_fails_at_once_and_by_name(
    trained: Trained, pool: asyncpg.Pool, objects: ObjectStore
) -> None:
    organization_id = trained.labelled.organization_id
    training_id = await store_training(pool, trained.labelled, [trained.data_bundle["id"]])
    await pool.execute(
        "UPDATE training SET status = 'succeeded', artefact_key = 'nothing/there/' WHERE id = $1", training_id
    )
    document_id = await store_document(pool, objects, organization_id, text_pdf())
    prediction_id = await store_prediction(pool, trained.labelled, training_id, document_id)
    job_id = await submit(pool, PREDICTION, organization_id, prediction_id)

    row = await ended(pool, "prediction", prediction_id, seconds=60)

    assert (row["status"], row["error"]) == ("failed", "The training's weights are not there")
    job = await pool.fetchrow("SELECT error_class, attempt, retryable FROM job WHERE id = $1", job_id)
    assert tuple(job) == ("ModelMissing", 1, False)


async def a_training_that_runs(trained: Trained, pool: asyncpg.Pool, settings: Settings) -> str:
    labelled = trained.labelled
    training_id = await store_training(pool, labelled, [trained.data_bundle["id"]])
    await submit(pool, TRAINING, labelled.organization_id, training_id)

    async def works() -> bool:
        return bool(ray_processes(settings, "RayTrainWorker"))

    await eventually(works, seconds=60)
    return training_id


async def test_a_cancelled_training_ends_and_leaves_no_worker(
    trained: Trained, pool: asyncpg.Pool, settings: Settings
) -> None:
    labelled = trained.labelled
    training_id = await a_training_that_runs(trained, pool, settings)
    async with pool.acquire() as connection:
        assert await request_cancel(
            connection, TRAINING, organization_id=labelled.organization_id, subject_id=training_id
        )

    async def over() -> bool:
        state = await pool.fetchval("SELECT state FROM job WHERE subject_id = $1", training_id)
        return state == "cancelled"

    await eventually(over, seconds=60)
    assert (await ended(pool, "training", training_id, seconds=60))["status"] == "cancelled"

    async def alone() -> bool:
        return not ray_processes(settings, *TRAINING_PROCESSES)

    await eventually(alone, seconds=60)

    async def free() -> bool:
        return bool(await asyncio.to_thread(lambda: free_cpus() >= settings.training_cpus))

    await eventually(free, seconds=60)
    artefact = Path(settings.objects_url.removeprefix("file://")) / "organizations"
    assert not list(artefact.rglob(f"{training_id.rsplit(':', 1)[-1]}/artefact/*"))


def free_cpus() -> float:
    """CPUs of the cluster that nothing has taken."""
    import ray

    return float(ray.available_resources().get("CPU", 0.0))


def dispatchers() -> dict[str, Any]:
    """The status of each dispatcher by its name."""
    import ray
    from ray.exceptions import RayActorError

    found: dict[str, Any] = {}
    for name in ray.util.list_named_actors():
        if name.startswith("dispatcher"):
            # One that has drained ends between two calls.
            with contextlib.suppress(ValueError, RayActorError):
                dispatcher = ray.get_actor(name, namespace=NAMESPACE)
                found[name] = ray.get(dispatcher.status.remote(), timeout=30)
    return found


async def test_deploying_the_same_release_restarts_no_dispatcher(
    trained: Trained, cluster: Environment
) -> None:
    before = await asyncio.to_thread(dispatchers)
    roles = sorted(status["role"] for status in before.values())
    assert roles == ["housekeeping", "interactive", "long", "workflows"]
    await asyncio.to_thread(run_driver, cluster)
    after = await asyncio.to_thread(dispatchers)
    assert {name: one["owner"] for name, one in after.items()} == {
        name: one["owner"] for name, one in before.items()
    }


async def test_a_new_release_lets_a_training_go_on(
    trained: Trained, settings: Settings, pool: asyncpg.Pool, objects: ObjectStore
) -> None:
    labelled = trained.labelled
    training_id = await a_training_that_runs(trained, pool, settings)
    before = await asyncio.to_thread(dispatchers)
    several = msgspec.structs.replace(settings, dispatchers=2)
    await asyncio.to_thread(replace_dispatchers, several, "the next release")

    found = await asyncio.to_thread(dispatchers)
    claiming = {name: one["role"] for name, one in found.items() if not one["draining"]}
    assert sorted(claiming.values()) == ["housekeeping", "interactive", "interactive", "long", "workflows"]
    assert not set(claiming) & set(before)
    document_id = await store_document(pool, objects, labelled.organization_id, text_pdf())
    prediction_id = await store_prediction(pool, labelled, trained.training["id"], document_id)
    await submit(pool, PREDICTION, labelled.organization_id, prediction_id)
    assert (await ended(pool, "prediction", prediction_id, seconds=60))["status"] == "succeeded"

    assert (await ended(pool, "training", training_id, seconds=60))["status"] == "succeeded"
    assert await pool.fetchval("SELECT attempt FROM job WHERE subject_id = $1", training_id) == 1

    async def alone() -> bool:
        return set(await asyncio.to_thread(dispatchers)) == set(claiming)

    await eventually(alone, seconds=60)
