"""The data of a consent is exported and deleted as a whole, and nothing of another consent."""

from __future__ import annotations

import asyncio
import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner, Result

from db.consents import list_documents, list_predictions
from db.erasures import erase_predictions
from pagemill.cli import main
from pagemill.errors import NotFound
from pagemill.housekeeping import consent_export, consents
from pagemill.housekeeping.consent_export import ExportFailed, export_consent
from pagemill.housekeeping.consents import delete_consent, summarise_consent
from pagemill.ids import ConsentId, PredictionId, new_id, slug_of
from pagemill.jobs.job import INTERACTIVE
from pagemill.jobs.queue import enqueue
from pagemill.objects import ObjectStore
from pagemill.objects.keys import words_prefix
from pagemill.work.predictions import PREDICTION
from tests.support.labelled import store_document
from tests.support.plans import most_rows_read
from tests.support.seeds import seed_data_bundle, seed_dataset, seed_model, used
from tests.support.tenants import Tenant
from tests.support.working import job_row

TRUTH = [{"label": "total", "value": "1.00"}]
CONSENT = new_id(ConsentId)
OTHER_CONSENT = new_id(ConsentId)


async def store(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    organization_id: str,
    *,
    consent_id: str = CONSENT,
    dataset_id: str | None = None,
    content: bytes | None = b"%PDF-",
) -> str:
    """Store a document under a consent and return its id."""
    document_id = await store_document(
        pool, objects, organization_id, content, ground_truth=TRUTH, dataset_id=dataset_id
    )
    await pool.execute(
        "UPDATE document SET consent_id = $2, content_type = $3, content_size = $4 WHERE id = $1",
        document_id,
        consent_id,
        None if content is None else "application/pdf",
        None if content is None else len(content),
    )
    return document_id


async def predict(pool: asyncpg.Pool, organization_id: str, document_id: str, **values: Any) -> str:
    """Insert a prediction of a document, succeeded unless ``values`` say otherwise; return its id."""
    prediction_id = new_id(PredictionId)
    row = {"status": "succeeded", "predictions": [{"label": "total", "value": "1.00"}]} | values
    await pool.execute(
        """
        INSERT INTO prediction (
            organization_id, id, document_id, model_id, model_reference, training_id, status, predictions
        )
        VALUES ($1, $2, $3, 'las:model:m', 'las:organization:o/las:model:m', 't', $4, $5)
        """,
        organization_id,
        prediction_id,
        document_id,
        row["status"],
        row["predictions"],
    )
    return prediction_id


async def left(pool: asyncpg.Pool, table: str) -> set[str]:
    return {row["id"] for row in await pool.fetch(f"SELECT id FROM {table}")}


async def export(
    pool: asyncpg.Pool, objects: ObjectStore, organization_id: str, path: Path
) -> dict[str, bytes]:
    async with pool.acquire() as connection:
        await export_consent(connection, objects, organization_id, CONSENT, path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


async def test_an_export_holds_all_of_each_document(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, tmp_path: Path
) -> None:
    owner = organization.organization_id
    full, empty = await store(pool, objects, owner), await store(pool, objects, owner, content=None)
    await store(pool, objects, owner, consent_id=OTHER_CONSENT)
    key = await pool.fetchval("SELECT content_key FROM document WHERE id = $1", full)
    words_key = words_prefix(key, "1", "low") + "0-of-1.msgpack"
    await objects.put(words_key, b"words")
    predicted = {await predict(pool, owner, full) for _ in range(3)}
    written = await export(pool, objects, owner, tmp_path / "consent.zip")
    folder = f"documents/{slug_of(full)}/"
    assert set(written) == {
        "consent.json",
        f"{folder}document.json",
        f"{folder}content.pdf",
        f"{folder}stored/{words_key.split('/', 4)[4]}",
        f"{folder}predictions.json",
        f"documents/{slug_of(empty)}/document.json",
        f"documents/{slug_of(empty)}/predictions.json",
    }
    assert written[f"{folder}content.pdf"] == b"%PDF-"
    document = json.loads(written[f"{folder}document.json"])
    assert (document["documentId"], document["consentId"], document["groundTruth"]) == (full, CONSENT, TRUTH)
    assert {"contentMD5", "createdTime", "retentionInDays"} < set(document)
    assert "contentKey" not in document
    predictions = json.loads(written[f"{folder}predictions.json"])
    assert {one["predictionId"] for one in predictions} == predicted
    assert {one["modelId"] for one in predictions} == {"las:organization:o/las:model:m"}
    assert json.loads(written[f"documents/{slug_of(empty)}/predictions.json"]) == []
    contents = json.loads(written["consent.json"])
    assert (contents["documents"], contents["predictions"], contents["missing"]) == (2, 3, [])


async def test_long_lists_are_exported_in_parts(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    organization: Tenant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consent_export, "PAGE_SIZE", 2)
    owner = organization.organization_id
    ids = [await store(pool, objects, owner) for _ in range(4)]
    for _ in range(5):
        await predict(pool, owner, ids[0])
    written = await export(pool, objects, owner, tmp_path / "consent.zip")
    assert sum(name.endswith("/document.json") for name in written) == 4
    assert len(json.loads(written[f"documents/{slug_of(ids[0])}/predictions.json"])) == 5


async def test_a_missing_file_is_named_and_the_rest_is_there(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, tmp_path: Path
) -> None:
    owner = organization.organization_id
    await store(pool, objects, owner)
    key = await pool.fetchval("SELECT content_key FROM document")
    await objects.delete(key)
    written = await export(pool, objects, owner, tmp_path / "consent.zip")
    assert json.loads(written["consent.json"])["missing"] == [key]


async def test_nobody_else_may_read_the_file(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, tmp_path: Path
) -> None:
    await store(pool, objects, organization.organization_id)
    path = tmp_path / "consent.zip"
    await export(pool, objects, organization.organization_id, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


class Broken:
    """Storage that fails in the middle of an object."""

    def __init__(self, objects: ObjectStore) -> None:
        self.list = objects.list

    async def stream(self, _key: str) -> Any:
        yield b"some"
        raise ConnectionResetError("away")


async def test_a_failed_export_keeps_the_former_file(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, tmp_path: Path
) -> None:
    owner = organization.organization_id
    await store(pool, objects, owner)
    path = tmp_path / "consent.zip"
    path.write_bytes(b"before")
    async with pool.acquire() as connection:
        with pytest.raises(ConnectionResetError):
            await export_consent(connection, Broken(objects), owner, CONSENT, path)  # type: ignore[arg-type]
        with pytest.raises(ExportFailed, match="cannot be written"):
            await export_consent(connection, objects, owner, CONSENT, tmp_path / "none" / "consent.zip")
    assert path.read_bytes() == b"before"
    assert files(tmp_path) == ["consent.zip"]


def files(directory: Path) -> list[str]:
    return [one.name for one in directory.iterdir() if one.is_file()]


async def test_the_same_consent_of_another_organization_is_left_alone(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant, other_organization: Tenant
) -> None:
    theirs = await store(pool, objects, other_organization.organization_id)
    async with pool.acquire() as connection:
        with pytest.raises(NotFound, match="nothing stored under"):
            await summarise_consent(connection, organization.organization_id, CONSENT)
        assert (
            await delete_consent(
                connection, objects, organization.organization_id, CONSENT, prediction=PREDICTION, patience=0
            )
            == 0
        )
    assert await left(pool, "document") == {theirs}


@pytest.mark.parametrize("batch", [1, 3, 200])
async def test_deleting_takes_documents_objects_and_predictions(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    organization: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
) -> None:
    monkeypatch.setattr(consents, "BATCH_SIZE", batch)
    owner = organization.organization_id
    dataset_id = await seed_dataset(pool, owner, documents=6)
    await pool.execute("UPDATE dataset SET ground_truth_summary = $1", {"total": 6})
    for _ in range(5):
        await predict(pool, owner, await store(pool, objects, owner, dataset_id=dataset_id))
    kept = await store(pool, objects, owner, consent_id=OTHER_CONSENT, dataset_id=dataset_id)
    kept_prediction = await predict(pool, owner, kept)
    done: list[int] = []
    async with pool.acquire() as connection:
        summary = await summarise_consent(connection, owner, CONSENT)
        assert (
            await delete_consent(
                connection, objects, owner, CONSENT, prediction=PREDICTION, patience=0, progress=done.append
            )
            == 5
        )
    assert (summary.documents, summary.predictions, summary.content_bytes) == (5, 5, 25)
    assert sum(done) == 5
    assert await left(pool, "document") == {kept}
    assert await left(pool, "prediction") == {kept_prediction}
    assert len([key async for key in objects.list("organizations/")]) == 1
    row = await pool.fetchrow("SELECT * FROM dataset")
    assert (row["number_of_documents"], row["ground_truth_summary"]) == (1, {"total": 1})


async def test_running_predictions_are_cancelled_and_not_counted(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    owner = organization.organization_id
    document_id = await store(pool, objects, owner)
    prediction_id = await predict(pool, owner, document_id, status="pending", predictions=None)
    async with pool.acquire() as connection:
        async with connection.transaction():
            job_id = await enqueue(
                connection,
                PREDICTION,
                organization_id=owner,
                subject_id=prediction_id,
                priority=INTERACTIVE,
            )
        await delete_consent(connection, objects, owner, CONSENT, prediction=PREDICTION, patience=0)
    assert (await job_row(pool, job_id))["state"] == "cancelled"
    assert await left(pool, "prediction") == set()
    assert await used(pool, owner, "predictions") == 0


async def test_data_bundles_that_may_hold_labels_are_named(
    pool: asyncpg.Pool, objects: ObjectStore, organization: Tenant
) -> None:
    owner = organization.organization_id
    dataset_id, model_id = await seed_dataset(pool, owner), await seed_model(pool, owner)
    await store(pool, objects, owner, dataset_id=dataset_id)
    data_bundle_id = await seed_data_bundle(pool, owner, model_id, dataset_id=dataset_id)
    await seed_data_bundle(pool, owner, model_id)
    async with pool.acquire() as connection:
        assert (await summarise_consent(connection, owner, CONSENT)).data_bundles == [data_bundle_id]


async def test_one_consent_is_found_among_many(pool: asyncpg.Pool, organization: Tenant) -> None:
    owner = organization.organization_id
    await pool.execute(
        """
        INSERT INTO document (organization_id, id, consent_id)
        SELECT $1, 'document-' || number, 'consent-' || number / 10 FROM generate_series(1, 10000) AS number
        """,
        owner,
    )
    await pool.execute(
        """
        INSERT INTO prediction (organization_id, id, document_id, model_id, model_reference, training_id)
        SELECT $1, 'prediction-' || number, 'document-' || number, 'm', 'm', 't'
        FROM generate_series(1, 10000) AS number
        """,
        owner,
    )
    await pool.execute("ANALYZE document, prediction")
    async with pool.acquire() as connection:
        first_page = {"organization_id": owner, "after_time": None, "after_id": None, "limit": 200}
        read = await most_rows_read(connection, list_documents, consent_id="consent-7", **first_page)
        assert read <= 20
        read = await most_rows_read(connection, list_predictions, document_id="document-7", **first_page)
        assert read <= 2
        read = await most_rows_read(
            connection,
            erase_predictions,
            organization_id=owner,
            document_ids=["document-7", "document-8"],
        )
        assert read <= 4


async def run(database_url: str, objects_directory: Path, *arguments: str) -> Result:
    return await asyncio.to_thread(
        CliRunner().invoke,
        main,
        ["consents", *arguments],
        env={"PAGEMILL_DATABASE_URL": database_url, "PAGEMILL_OBJECTS_URL": objects_directory.as_uri()},
    )


async def test_the_commands(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    organization: Tenant,
    database_url: str,
    objects_directory: Path,
    tmp_path: Path,
) -> None:
    owner = organization.organization_id
    document_id = await store(pool, objects, owner)
    await predict(pool, owner, document_id)
    under = (CONSENT, "--organization", owner)
    exported = await run(database_url, objects_directory, "export", *under, "-o", str(tmp_path / "c.zip"))
    assert exported.exit_code == 0
    assert exported.stdout.endswith("c.zip: 1 documents, 1 predictions\n")
    assert zipfile.is_zipfile(tmp_path / "c.zip")
    dry = await run(database_url, objects_directory, "delete", *under)
    assert "would delete 1 documents (5 bytes) and 1 predictions" in dry.output
    assert await left(pool, "document") == {document_id}
    wet = await run(database_url, objects_directory, "delete", *under, "--yes", "--json")
    assert json.loads(wet.stdout)["documents"] == 1
    assert await left(pool, "document") == set()
    again = await run(database_url, objects_directory, "delete", *under, "--yes")
    assert again.exit_code == 0
    assert again.stdout == "deleted 0 documents (0 bytes) and 0 predictions\n"
    wrong = await run(database_url, objects_directory, "delete", "las:consent:x", "--organization", owner)
    assert wrong.exit_code == 2


async def test_the_command_reports_missing_files_and_an_unwritable_file(
    pool: asyncpg.Pool,
    objects: ObjectStore,
    organization: Tenant,
    database_url: str,
    objects_directory: Path,
    tmp_path: Path,
) -> None:
    owner = organization.organization_id
    await store(pool, objects, owner)
    await objects.delete_prefix("organizations/")
    under = (CONSENT, "--organization", owner, "-o")
    missing = await run(database_url, objects_directory, "export", *under, str(tmp_path / "c.zip"))
    assert missing.exit_code == 1
    assert "1 stored files are missing" in missing.stderr
    nowhere = await run(database_url, objects_directory, "export", *under, str(tmp_path / "no" / "c.zip"))
    assert nowhere.exit_code == 1
    assert "cannot be written: No such file or directory" in nowhere.stderr
