"""A little of everything that a stack does, so that each metric counts something."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx

from db.pool import create_pool
from examples.demo.sample_documents import sample_documents
from pagemill.applications.training_artefacts import TrainingKeys
from pagemill.ids import TrainingId, new_id
from pagemill.objects import ObjectStore, open_objects
from tests.chaos.workload import open_client
from tests.chaos.world import Member, World, join
from tests.support.labelled import Labelled, store_document, store_labelled, store_model
from tests.support.running import FINAL, eventually
from tests.unit.extraction.documents import text_pdf

ALLOWED = {"predictions": 100_000.0, "pages": 100_000.0}
"""A plan that limits: only what is limited is reserved."""
LABELLED_DOCUMENTS = 12
SCANS_EVERY = 6
ROUNDS = 12
SCAN_IN_ROUNDS = (2, 5, 8)
ROUND_SECONDS = 2.0
ENDED_SECONDS = 240.0
PAUSE_SECONDS = 0.7
QUEUED = 130
"""Jobs that a queue needs before it counts as rising, and some more."""


@dataclass(frozen=True, slots=True)
class Customer:
    """An organization with documents and a model that has been trained, and one whose weights are missing."""

    member: Member
    document_id: str
    labelled: Labelled
    broken_model: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.member.token}"}


@asynccontextmanager
async def past_the_api(world: World) -> AsyncIterator[tuple[asyncpg.Pool, ObjectStore]]:
    """Connections to the stack's database and objects."""
    pool, objects = await create_pool(world.settings.database_url, size=2), open_objects(world.settings)
    try:
        yield pool, objects
    finally:
        await pool.close()
        await objects.close()


async def join_customer(world: World) -> Customer:
    """A new organization, with all that its requests need."""
    samples = sample_documents(LABELLED_DOCUMENTS, seed=5, scans_every=SCANS_EVERY)
    async with past_the_api(world) as (pool, objects):
        member = await join(pool, world.settings, ALLOWED)
        return Customer(
            member,
            document_id=await store_document(pool, objects, member.id, text_pdf()),
            labelled=await store_labelled(pool, objects, member.id, samples),
            broken_model=await _store_broken_model(pool, member.id),
        )


async def _store_broken_model(pool: asyncpg.Pool, organization_id: str) -> str:
    model_id, training_id = await store_model(pool, organization_id), new_id(TrainingId)
    await pool.execute(
        "INSERT INTO training (organization_id, id, model_id, status, artefact_key) "
        "VALUES ($1, $2, $3, 'succeeded', $4)",
        *(organization_id, training_id, model_id, TrainingKeys.of(organization_id, training_id).artefact),
    )
    await pool.execute("UPDATE model SET training_id = $2 WHERE id = $1", model_id, training_id)
    return model_id


async def work(world: World, customer: Customer) -> None:
    """Documents, predictions, a data bundle and a training, until all of them have ended."""
    async with open_client(world) as client:
        client.headers.update(customer.headers)
        learning = asyncio.create_task(_learn(client, customer))
        rounds = 0
        while rounds < ROUNDS or not learning.done():
            await _predict(client, world.model, scan=rounds in SCAN_IN_ROUNDS, number=rounds)
            await asyncio.sleep(ROUND_SECONDS)
            rounds += 1
        await learning


async def _predict(client: httpx.AsyncClient, model: str, *, scan: bool, number: int) -> None:
    """Upload a document, have it predicted twice, and read what there is."""
    [sample] = sample_documents(1, seed=100 + number, scans_every=1 if scan else 0)
    content = base64.b64encode(sample.content).decode()
    document = await _call(client, "POST", "/documents", {"content": content})
    wanted = {"documentId": document["documentId"], "modelId": model}
    for is_asynchronous in (False, True):
        await _call(client, "POST", "/predictions", wanted | {"async": is_asynchronous})
    for path in (f"/documents/{document['documentId']}", "/documents", "/predictions", "/models"):
        await _call(client, "GET", path)


async def _learn(client: httpx.AsyncClient, customer: Customer) -> None:
    model = f"/models/{customer.labelled.model_id}"
    bundle = await _call(
        client, "POST", f"{model}/dataBundles", {"datasetIds": [customer.labelled.dataset_id]}
    )
    assert (await _ended(client, f"{model}/dataBundles/{bundle['dataBundleId']}"))["status"] == "succeeded"
    training = await _call(client, "POST", f"{model}/trainings", {"dataBundleIds": [bundle["dataBundleId"]]})
    assert (await _ended(client, f"{model}/trainings/{training['trainingId']}"))["status"] == "succeeded"


async def _ended(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """Return the resource at a path, once its status is final."""

    async def look() -> dict[str, Any] | None:
        found = await _call(client, "GET", path)
        if found["status"] in FINAL:
            return found
        await asyncio.sleep(PAUSE_SECONDS)
        return None

    found: dict[str, Any] = await eventually(look, seconds=ENDED_SECONDS)
    return found


async def _call(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    answer = await client.request(method, path, json=body)
    assert answer.status_code == 200, (method, path, answer.status_code, answer.text)
    found: dict[str, Any] = answer.json()
    return found


async def predict_with_broken_model(world: World, customer: Customer, times: int) -> None:
    """Predictions that fail, one after the other."""
    wanted = {"documentId": customer.document_id, "modelId": customer.broken_model, "async": True}
    async with open_client(world) as client:
        client.headers.update(customer.headers)
        for _ in range(times):
            made = await _call(client, "POST", "/predictions", wanted)
            await _ended(client, f"/predictions/{made['predictionId']}")


async def age_the_queue(world: World, seconds: float) -> None:
    """Let all that waits have waited for so long."""
    async with past_the_api(world) as (pool, _):
        await pool.execute(
            "UPDATE job SET created_time = created_time - $1 * interval '1 second',"
            " run_after = run_after - $1 * interval '1 second' WHERE state = 'queued'",
            seconds,
        )


async def forget_the_queue(world: World) -> None:
    """Remove what waits: nobody has to wait until it is done."""
    async with past_the_api(world) as (pool, _):
        await pool.execute("DELETE FROM job WHERE state = 'queued' AND kind = 'prediction'")


@contextmanager
def requests_under_way(world: World, customer: Customer, *, asynchronous_predictions: bool) -> Iterator[None]:
    """Requests in a thread until the end, whatever they are answered; many at first, then some a second."""
    ending = threading.Event()
    wanted = {"documentId": customer.document_id, "modelId": world.model, "async": True}

    async def one(client: httpx.AsyncClient) -> None:
        with contextlib.suppress(httpx.HTTPError):
            if asynchronous_predictions:
                await client.post("/predictions", json=wanted)
            else:
                await client.get("/documents")

    async def send() -> None:
        async with open_client(world) as client:
            client.headers.update(customer.headers)
            if asynchronous_predictions:
                await asyncio.gather(*(one(client) for _ in range(QUEUED)))
            while not ending.is_set():
                await one(client)
                await asyncio.sleep(0.3)

    thread = threading.Thread(target=lambda: asyncio.run(send()), name="requests")
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
