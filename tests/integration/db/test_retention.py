"""Documents and data bundles whose retention has passed, and data stored under a consent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from db import consents, erasures
from db.consents import ConsentSummaryRow
from db.documents import list_documents_ascending
from db.organizations import update_document_retention
from db.retention import delete_due_data_bundle, list_due_data_bundles, lock_due_documents
from db.schedule import list_organizations_with_due
from db.statements import Connection
from pagemill.ids import ConsentId, DataBundleId, DocumentId
from tests.support.everything import insert
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONSENT = ConsentId("las:consent:1")


@pytest_asyncio.fixture(loop_scope="module")
async def own(connection: Connection, mine: Tenant) -> dict[str, Any]:
    """The arguments that name an organization with a model."""
    await insert(connection, "model", organization_id=mine.organization_id, id="model")
    return {"organization_id": mine.organization_id}


# Rows by name: when they were created, and how many days they are kept.
AGES = {
    "due long ago": (timedelta(days=9), 1),
    "due now": (timedelta(days=3), 3),
    "due since a microsecond": (timedelta(days=3, microseconds=1), 3),
    "due in a microsecond": (timedelta(days=3, microseconds=-1), 3),
    "due in years": (timedelta(days=9), 1825),
}
DUE = ["due long ago", "due since a microsecond", "due now"]
"""The first due first."""


async def add_all(connection: Connection, own: dict[str, Any], now: datetime) -> None:
    for name, (age, days) in AGES.items():
        values = {"id": name, "created_time": now - age, "retention_in_days": days}
        await insert(connection, "document", **own, **values)
        await insert(connection, "data_bundle", **own, model_id="model", **values)


async def test_rows_are_due_when_their_retention_has_passed(
    connection: Connection, own: dict[str, Any], now: datetime
) -> None:
    await add_all(connection, own, now)
    assert await lock_due_documents(connection, **own, limit=10) == sorted(DUE)
    assert await list_due_data_bundles(connection, **own, limit=10) == DUE


async def test_of_many_the_first_due_are_taken(
    connection: Connection, own: dict[str, Any], now: datetime
) -> None:
    await add_all(connection, own, now)
    assert await lock_due_documents(connection, **own, limit=2) == sorted(DUE[:2])
    assert await list_due_data_bundles(connection, **own, limit=2) == DUE[:2]


@pytest.mark.parametrize("name", AGES)
async def test_a_data_bundle_is_deleted_while_it_is_due(
    connection: Connection, own: dict[str, Any], now: datetime, name: str
) -> None:
    await add_all(connection, own, now)
    deleted = await delete_due_data_bundle(connection, **own, data_bundle_id=DataBundleId(name))
    assert deleted == (name in DUE)


@pytest.mark.parametrize("table", ["document", "data_bundle"])
async def test_organizations_with_rows_that_are_due_are_found(
    connection: Connection, own: dict[str, Any], theirs: Tenant, now: datetime, table: str
) -> None:
    await insert(connection, "model", organization_id=theirs.organization_id, id="their model")
    for owner, model_id, days in (
        (own["organization_id"], "model", 3),
        (theirs.organization_id, "their model", 4),
    ):
        of_model = {"model_id": model_id} if table == "data_bundle" else {}
        await insert(
            connection,
            table,
            organization_id=owner,
            id=owner,
            retention_in_days=days,
            created_time=now - timedelta(days=3),
            **of_model,
        )
    assert await list_organizations_with_due(connection, after="", limit=10) == [own["organization_id"]]
    assert await list_organizations_with_due(connection, after=own["organization_id"], limit=10) == []


@pytest_asyncio.fixture(loop_scope="module")
async def stored(connection: Connection, own: dict[str, Any], theirs: Tenant, now: datetime) -> None:
    """Documents of two organizations under the same consent, an expired one too, and their predictions."""
    foreign = {"organization_id": theirs.organization_id}
    for owner, dataset_id in ((own, "dataset"), (foreign, "their dataset")):
        await insert(connection, "dataset", **owner, id=dataset_id)
    for owner, name, consent_id, size, dataset_id, days in (
        (own, "large", CONSENT, 2**33, "dataset", 1),
        (own, "empty", CONSENT, None, None, 1825),
        (own, "other", "other consent", 5, None, 1825),
        (foreign, "theirs", CONSENT, 7, "their dataset", 1825),
    ):
        await insert(
            connection,
            "document",
            **owner,
            id=name,
            consent_id=consent_id,
            content_size=size,
            dataset_id=dataset_id,
            retention_in_days=days,
            created_time=now - timedelta(days=2),
        )
        for status in ("pending", "succeeded"):
            await insert(
                connection, "prediction", **owner, id=f"{status} {name}", document_id=name, status=status
            )
    for name, dataset_id in (("with", "dataset"), ("without", "other"), ("of theirs", "their dataset")):
        datasets = [{"datasetId": "unrelated"}, {"datasetId": dataset_id}]
        await insert(connection, "data_bundle", **own, id=name, model_id="model", datasets=datasets)
    older = {"id": "with, older", "created_time": now - timedelta(days=1)}
    datasets = [{"datasetId": "dataset"}]
    await insert(connection, "data_bundle", **own, **older, model_id="model", datasets=datasets)


@pytest.mark.usefixtures("stored")
async def test_a_summary_counts_what_the_organization_has_under_a_consent(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    assert await consents.summarise_consent(connection, **own, consent_id=CONSENT) == ConsentSummaryRow(
        documents=2, bytes=2**33, predictions=4
    )
    theirs_of_it = await consents.summarise_consent(
        connection, organization_id=theirs.organization_id, consent_id=CONSENT
    )
    assert theirs_of_it == ConsentSummaryRow(documents=1, bytes=7, predictions=2)
    nothing = await consents.summarise_consent(connection, **own, consent_id=ConsentId("unknown"))
    assert nothing == ConsentSummaryRow(documents=0, bytes=0, predictions=0)


@pytest.mark.usefixtures("stored")
async def test_data_bundles_of_datasets_with_such_documents_are_named(
    connection: Connection, own: dict[str, Any]
) -> None:
    assert await consents.list_data_bundles(connection, **own, consent_id=CONSENT) == ["with, older", "with"]


@pytest.mark.usefixtures("stored")
async def test_expired_documents_are_stored_under_their_consent(
    connection: Connection, own: dict[str, Any]
) -> None:
    rows = await consents.list_documents(
        connection, **own, consent_id=CONSENT, after_time=None, after_id=None, limit=10
    )
    assert [row.id for row in rows] == ["empty", "large"]


@pytest.mark.usefixtures("stored")
async def test_predictions_of_documents_are_found_and_deleted(
    connection: Connection, own: dict[str, Any]
) -> None:
    ids = [DocumentId(name) for name in ("large", "empty", "theirs")]
    pending = await erasures.list_pending_predictions(connection, **own, document_ids=ids)
    assert pending == ["pending empty", "pending large"]
    assert await erasures.erase_predictions(connection, **own, document_ids=ids) == 4
    left = await connection.fetch("SELECT DISTINCT document_id FROM prediction ORDER BY document_id")
    assert [row["document_id"] for row in left] == ["other", "theirs"]


async def test_the_time_of_the_organization_holds_for_documents_that_are_there(
    connection: Connection, own: dict[str, Any], now: datetime
) -> None:
    await add_all(connection, own, now)
    assert await update_document_retention(connection, **own, days=4) == own["organization_id"]
    assert await lock_due_documents(connection, **own, limit=10) == sorted([*DUE, "due in years"])
    shown = await list_documents_ascending(
        connection,
        **own,
        dataset_ids=None,
        consent_ids=None,
        document_ids=None,
        after_time=None,
        after_id=None,
        limit=10,
    )
    assert [row.id for row in shown] == ["due in a microsecond"]


async def test_an_organization_is_found_whose_own_time_is_over(
    connection: Connection, own: dict[str, Any], now: datetime
) -> None:
    created = now - timedelta(days=4)
    await insert(connection, "document", **own, id="old", retention_in_days=1825, created_time=created)
    assert await list_organizations_with_due(connection, after="", limit=10) == []
    await update_document_retention(connection, **own, days=4)
    assert await list_organizations_with_due(connection, after="", limit=10) == [own["organization_id"]]
