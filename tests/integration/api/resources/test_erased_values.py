"""With a document goes everything that holds its values, whichever way it goes."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from click.testing import CliRunner

from db import sql_migration
from db.erasures import list_organizations_with_erasures
from db.pool import acquire
from pagemill.cli import main
from pagemill.documents import bundle_files
from pagemill.documents.bundle_contents import BundleContents, BundleFile, save_contents
from pagemill.documents.deletion import delete_documents
from pagemill.errors import Unavailable
from pagemill.extraction.types import Example, Page, Word
from pagemill.housekeeping import value_erasure
from pagemill.housekeeping.value_erasure import ErasureReport, ValueErasure
from pagemill.ids import ConsentId, DataBundleId, DocumentId, OrganizationId, new_id
from pagemill.jobs import outcomes
from pagemill.jobs.schedule import enqueue_scheduled
from pagemill.objects import ObjectStore
from pagemill.objects.keys import new_data_bundle_key, words_prefix
from pagemill.work.erasures import ERASURE, ErasureRunner
from pagemill.work.predictions import PREDICTION, PredictionResult
from pagemill.work.retention import RETENTION, RetentionRunner
from tests.support.flows import (
    again,
    claim,
    create_transition,
    create_workflow,
    lines,
    ok,
    patch,
    start,
    succeed,
    task,
)
from tests.support.mailed import set_mail
from tests.support.planted import files_with, tables_with
from tests.support.schedules import HOUR, at, schedule_of
from tests.support.seeds import claim_job, seed_data_bundle, seed_training
from tests.support.tenants import Tenant
from tests.support.working import dispatching, until

VALUE = "planted7Qz4711value"
CONSENT = new_id(ConsentId)
DAY = 86400.0


class Planted:
    """A document whose value was copied to everywhere."""

    def __init__(self, api: httpx.AsyncClient, pool: asyncpg.Pool, tenant: Tenant) -> None:
        self.api, self.pool, self.tenant = api, pool, tenant
        self.document_id = ""
        self.prediction_id = ""
        self.body: dict[str, Any] = {}
        self.model_id = ""
        self.execution: dict[str, Any] = {}
        self.transition_id = ""

    async def document(self) -> None:
        self.body = {
            "name": VALUE,
            "metadata": {"seen": VALUE},
            "consentId": CONSENT,
            "groundTruth": [{"label": "total", "value": VALUE}],
        }
        created = await ok(
            await self.api.post("/v1/documents", json=self.body, headers={"Idempotency-Key": "document"})
        )
        self.document_id = created["documentId"]
        await ok(await self.api.put(f"/v1/files/{self.document_id}", content=b"%PDF-1.7 " + VALUE.encode()))

    async def prediction(self) -> None:
        model_id = (await ok(await self.api.post("/v1/models", json={"fieldConfig": {}})))["modelId"]
        training_id = await seed_training(self.pool, self.tenant.organization_id, model_id)
        await ok(await self.api.patch(f"/v1/models/{model_id}", json={"trainingId": training_id}))
        self.model_id = model_id
        self.prediction_id = (await self.ask())["predictionId"]
        await self.answer()

    async def ask(self) -> dict[str, Any]:
        body = {"documentId": self.document_id, "modelId": self.model_id, "async": True}
        return await ok(await self.api.post("/v1/predictions", json=body))

    async def answer(self) -> None:
        """What a worker does with a prediction that it has made."""
        job = await claim_job(self.pool, PREDICTION)
        found = [{"label": "total", "value": VALUE, "confidence": 0.9}]
        result = PredictionResult(
            predictions=found, inference_time=1.0, next_page=None, preprocess_config={}, pages=1, fields=1
        )
        async with self.pool.acquire() as connection:
            await outcomes.finish(connection, PREDICTION, job, result)

    async def executions(self) -> None:
        """One that succeeds, one that fails and is mailed, and steps of their own."""
        await set_mail(self.pool)
        self.transition_id = await create_transition(self.api)
        workflow_id = await create_workflow(
            self.api,
            {"Check": task(self.transition_id)},
            errorConfig={"email": "operations@example.com"},
        )
        self.execution = await start(self.api, workflow_id, {"documentId": self.document_id, "seen": VALUE})
        await succeed(self.api, await claim(self.api, self.transition_id), total=VALUE)
        await start(self.api, workflow_id, {"predictionId": self.prediction_id})
        step = await claim(self.api, self.transition_id)
        await ok(await patch(self.api, step, status="failed", error={"message": f"is {VALUE}"}))
        alone = await create_transition(self.api, "lambda")
        data = {"url": f"/v1/files/{self.document_id}", "seen": VALUE}
        path = f"/v1/transitions/{alone}/executions"
        await succeed(self.api, await ok(await self.api.post(path, json={"input": data})), total=VALUE)

    async def words(self, objects: ObjectStore) -> None:
        """What reading leaves beside the content."""
        key = await self.pool.fetchval("SELECT content_key FROM document WHERE id = $1", self.document_id)
        await objects.put(words_prefix(key, "1", "low") + "0-of-1.msgpack", VALUE.encode())

    async def bundle(self, objects: ObjectStore) -> None:
        """A data bundle that holds the document."""
        owner = self.tenant.organization_id
        page = Page(0, 1.0, "text", [Word(VALUE, 0.0, 0.0, 1.0, 1.0)])
        example = Example(self.document_id, [page], [{"label": "total", "value": VALUE}])
        bundle_id = await seed_data_bundle(self.pool, owner, self.model_id)
        key = new_data_bundle_key(OrganizationId(owner), DataBundleId(bundle_id))
        await objects.put(key + "0.parquet", bundle_files.encode(bundle_files.to_table([example])))
        await save_contents(objects, key, BundleContents([BundleFile("0.parquet", [self.document_id])]))
        await self.pool.execute("UPDATE data_bundle SET object_key = $2 WHERE id = $1", bundle_id, key)

    async def delete(self) -> None:
        await ok(await self.api.delete(f"/v1/documents/{self.document_id}"))


@pytest.fixture
async def planted(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, objects: ObjectStore
) -> Planted:
    planted = Planted(api, pool, organization)
    await planted.document()
    await planted.words(objects)
    await planted.prediction()
    await planted.bundle(objects)
    await planted.executions()
    return planted


async def erase(pool: asyncpg.Pool, objects: ObjectStore, *, patience: float = 7 * DAY) -> None:
    """Run the erasure jobs that are queued, as a dispatcher does."""
    runner = ErasureRunner(pool, objects, patience=patience)
    async with dispatching(pool, runner, kinds=(ERASURE,)):

        async def idle() -> bool:
            waiting = "SELECT count(*) FROM job WHERE kind = 'erasure' AND state IN ('queued', 'running')"
            return await pool.fetchval(waiting) == 0

        await until(idle)
    assert await pool.fetchval("SELECT count(*) FROM job WHERE kind = 'erasure' AND state = 'failed'") == 0


async def look_again(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    tenant: Tenant,
    *,
    patience: float = 7 * DAY,
    later: datetime.timedelta = value_erasure.UNDER_WAY,
) -> ErasureReport:
    """Make another pass, as the scheduled job does; ``later`` is the time that counts as under way."""
    erasure = ValueErasure(
        lambda: acquire(pool), objects, tenant.organization_id, prediction=PREDICTION, patience=patience
    )
    return await erasure.run(under_way=later)


async def places(pool: asyncpg.Pool, objects_directory: Path, value: str = VALUE) -> set[str]:
    """The tables and objects in which a value stands."""
    tables = await tables_with(pool, value)
    return {*tables, *(["objects"] if files_with(objects_directory, value) else [])}


EVERYWHERE = {
    "document",
    "prediction",
    "workflow_execution",
    "transition_execution",
    "log_event",
    "job",
    "objects",
}


async def test_a_deleted_document_leaves_its_values_nowhere(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    objects: ObjectStore,
    objects_directory: Path,
    planted: Planted,
) -> None:
    assert await places(pool, objects_directory) == EVERYWHERE
    await planted.delete()
    # Before any job has run: what the API shows of a document is gone with it.
    assert (await api.get(f"/v1/predictions/{planted.prediction_id}")).status_code == 404
    assert "prediction" not in await tables_with(pool, VALUE)
    await erase(pool, objects)
    assert await places(pool, objects_directory) == set()


async def test_what_is_left_says_that_it_was(
    api: httpx.AsyncClient, pool: asyncpg.Pool, objects: ObjectStore, planted: Planted
) -> None:
    await planted.delete()
    await erase(pool, objects)
    left = await again(api, planted.execution)
    assert (left["status"], left["input"], left["output"], left["events"]) == ("succeeded", {}, {}, [])
    assert await lines(api, left["logId"]) == []
    assert (await api.get("/v1/predictions")).json()["predictions"] == []
    repeated = await api.post("/v1/documents", json=planted.body, headers={"Idempotency-Key": "document"})
    assert repeated.status_code == 404
    assert (await api.get("/v1/documents")).json()["documents"] == []


async def test_other_documents_and_other_organizations_keep_theirs(
    api: httpx.AsyncClient,
    other_api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    objects: ObjectStore,
    planted: Planted,
) -> None:
    other = await ok(await api.post("/v1/documents", json={}))
    workflow_id = planted.execution["workflowId"]
    kept = await start(api, workflow_id, {"documentId": other["documentId"]})
    await succeed(api, await claim(api, planted.transition_id), total="kept")
    theirs = await create_transition(other_api)
    their_workflow = await create_workflow(other_api, {"Check": task(theirs)})
    # They may name what is not theirs: it says nothing, and is not emptied.
    foreign = await start(other_api, their_workflow, {"documentId": planted.document_id})
    await succeed(other_api, await claim(other_api, theirs), total="theirs")
    await planted.delete()
    await erase(pool, objects)
    assert (await again(api, kept))["output"] == {"total": "kept"}
    assert (await again(other_api, foreign))["output"] == {"total": "theirs"}


async def test_retention_takes_the_values_too(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    objects_directory: Path,
    organization: Tenant,
    planted: Planted,
    database_url: str,
) -> None:
    await pool.execute("UPDATE document SET created_time = now() - interval '3 days'")
    command = ["organizations", "retention", organization.organization_id, "2"]
    done = await asyncio.to_thread(
        CliRunner().invoke, main, command, env={"PAGEMILL_DATABASE_URL": database_url}
    )
    assert done.exit_code == 0, done.output
    hidden = await planted.api.get(f"/v1/documents/{planted.document_id}")
    assert hidden.status_code == 404
    async with pool.acquire() as connection:
        await enqueue_scheduled(connection, schedule_of(RETENTION, HOUR), at("2026-11-25T13:47:12"))
    job = await claim_job(pool, RETENTION)
    await RetentionRunner(pool, objects)(job)
    await erase(pool, objects)
    assert await places(pool, objects_directory) == set()


async def test_new_documents_are_kept_no_longer_than_the_organization_says(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    await pool.execute("UPDATE organization SET document_retention_in_days = 30")
    created = await ok(await api.post("/v1/documents", json={"retentionInDays": 90}))
    assert created["retentionInDays"] == 30
    path = f"/v1/documents/{created['documentId']}"
    assert (await ok(await api.patch(path, json={"retentionInDays": 7})))["retentionInDays"] == 7
    assert (await ok(await api.patch(path, json={"retentionInDays": 60})))["retentionInDays"] == 30
    assert (await ok(await api.patch(path, json={"name": "x"})))["retentionInDays"] == 30


@pytest.mark.parametrize("deleted_before", [False, True])
async def test_a_consent_is_deleted_also_when_its_document_is_gone(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    objects_directory: Path,
    organization: Tenant,
    planted: Planted,
    database_url: str,
    deleted_before: bool,
) -> None:
    if deleted_before:
        await planted.delete()
    command = ["consents", "delete", CONSENT, "--organization", organization.organization_id, "--yes"]
    environment = {
        "PAGEMILL_DATABASE_URL": database_url,
        "PAGEMILL_OBJECTS_URL": objects_directory.as_uri(),
    }
    for _ in range(2):
        done = await asyncio.to_thread(CliRunner().invoke, main, command, env=environment)
        assert done.exit_code == 0, done.output
        assert await places(pool, objects_directory) == set()


async def test_an_open_execution_is_emptied_when_it_has_ended(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    objects: ObjectStore,
    objects_directory: Path,
    organization: Tenant,
    planted: Planted,
) -> None:
    workflow_id = planted.execution["workflowId"]
    open_one = await start(api, workflow_id, {"documentId": planted.document_id, "seen": VALUE})
    await planted.delete()
    await erase(pool, objects)
    assert await places(pool, objects_directory) == {"workflow_execution", "transition_execution"}
    assert (await again(api, open_one))["status"] == "running"
    # The time of what was under way is over: what an open execution names is looked for all the same.
    at_once = datetime.timedelta(0)
    assert (await look_again(pool, objects, organization, later=at_once)).open_executions == 1
    await succeed(api, await claim(api, planted.transition_id), total=VALUE)
    assert (await look_again(pool, objects, organization, later=at_once)).executions == 1
    assert await places(pool, objects_directory) == set()
    assert await pool.fetchval("SELECT count(*) FROM erased_resource") == 0


async def test_an_execution_that_stays_open_is_ended(
    api: httpx.AsyncClient, pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, planted: Planted
) -> None:
    workflow_id = planted.execution["workflowId"]
    open_one = await start(api, workflow_id, {"documentId": planted.document_id, "seen": VALUE})
    await planted.delete()
    await erase(pool, objects, patience=0)
    assert (await again(api, open_one))["status"] == "failed"
    assert await tables_with(pool, VALUE) == {}


async def test_a_prediction_that_is_made_meanwhile_is_not_kept(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, planted: Planted
) -> None:
    await planted.ask()
    await planted.delete()
    await planted.answer()
    assert await tables_with(pool, VALUE)
    await erase(pool, objects)
    assert await tables_with(pool, VALUE) == {}


async def test_a_pending_prediction_is_cancelled(
    pool: asyncpg.Pool, objects: ObjectStore, planted: Planted
) -> None:
    await planted.ask()
    await planted.delete()
    await erase(pool, objects)
    assert await pool.fetchval("SELECT count(*) FROM prediction") == 0
    states = await pool.fetch("SELECT state FROM job WHERE kind = 'prediction' ORDER BY state")
    assert [row["state"] for row in states] == ["cancelled", "succeeded"]


class BreaksOff:
    """Object storage that is away for the first deletions."""

    def __init__(self, objects: ObjectStore, times: int) -> None:
        self._objects, self._times = objects, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    async def delete_prefix(self, prefix: str) -> int:
        self._times -= 1
        if self._times >= 0:
            raise Unavailable("away")
        return await self._objects.delete_prefix(prefix)


async def test_an_erasure_that_was_broken_off_is_made_again(
    pool: asyncpg.Pool, objects: ObjectStore, objects_directory: Path, planted: Planted
) -> None:
    # As after a crash between the commit and the deletion of the objects.
    async with pool.acquire() as connection:
        await delete_documents(connection, planted.tenant.organization_id, [DocumentId(planted.document_id)])
    broken = BreaksOff(objects, times=1)
    runner = ErasureRunner(pool, broken, patience=DAY)  # type: ignore[arg-type]
    job = await claim_job(pool, ERASURE)
    with pytest.raises(Unavailable):
        await runner(job)
    assert "objects" in await places(pool, objects_directory)
    await runner(job)
    assert await places(pool, objects_directory) == set()


async def test_long_walks_are_made_in_pages(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    objects_directory: Path,
    planted: Planted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(value_erasure, "PAGE_SIZE", 1)
    await planted.delete()
    await erase(pool, objects)
    assert await places(pool, objects_directory) == set()


def recording_of_the_migration() -> str:
    migration = (sql_migration.MIGRATIONS / "add_erasures.sql").read_text()
    return migration[migration.index("INSERT INTO erased_resource") :]


async def test_what_earlier_releases_have_left_is_found(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, planted: Planted
) -> None:
    """The migration records the documents of predictions that have none."""
    await pool.execute("DELETE FROM document")
    await pool.execute(recording_of_the_migration())
    async with pool.acquire() as connection:
        found = await list_organizations_with_erasures(connection, after="", limit=10)
    assert found == [organization.organization_id]
    await look_again(pool, objects, organization)
    assert await tables_with(pool, VALUE) == {}
