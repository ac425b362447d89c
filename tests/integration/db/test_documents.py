"""Documents: hidden once they have expired, filtered, deleted, compared and bundled."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from db.documents import (
    BundledDocumentRow,
    ContentHashRow,
    DocumentRow,
    DuplicateRow,
    delete_documents,
    get_document,
    insert_document,
    list_documents,
    list_documents_to_bundle,
    list_documents_to_delete,
    list_duplicates,
    lock_contents,
    lock_document,
    update_content,
)
from db.statements import Connection
from pagemill.ids import ConsentId, DatasetId, DocumentId, PrincipalId
from tests.support.everything import insert
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENT = DocumentId("las:document:1")
FIRST_PAGE: dict[str, Any] = {"after_time": None, "after_id": None, "limit": 100}
D1, D2, C1 = DatasetId("d1"), DatasetId("d2"), ConsentId("c1")


@pytest_asyncio.fixture(loop_scope="module")
async def own(connection: Connection, mine: Tenant) -> dict[str, Any]:
    """The arguments that name an organization with two datasets."""
    own = {"organization_id": mine.organization_id}
    for dataset_id in (D1, D2):
        await insert(connection, "dataset", **own, id=dataset_id)
    return own


async def add(connection: Connection, own: dict[str, Any], name: str = DOCUMENT, **values: Any) -> str:
    return await insert(connection, "document", **own, id=name, **values)


async def test_a_new_document_may_have_no_content(
    connection: Connection, own: dict[str, Any], now: datetime
) -> None:
    row = await insert_document(
        connection,
        **own,
        document_id=DOCUMENT,
        dataset_id=D1,
        consent_id=None,
        name="Invoice",
        description=None,
        metadata={"source": "mail"},
        ground_truth=[{"label": "total", "value": "1"}],
        retention_in_days=1,
        content_key=None,
        content_type=None,
        content_md5=None,
        content_size=None,
        created_by=PrincipalId("ada"),
    )
    expected = DocumentRow(
        id=DOCUMENT,
        dataset_id=D1,
        consent_id=None,
        name="Invoice",
        description=None,
        metadata={"source": "mail"},
        ground_truth=[{"label": "total", "value": "1"}],
        retention_in_days=1,
        content_key=None,
        content_type=None,
        content_md5=None,
        content_size=None,
        created_time=now,
        created_by=PrincipalId("ada"),
        updated_time=None,
        updated_by=None,
    )
    assert row == expected
    content = {"content_key": "k", "content_type": "image/png", "content_md5": "m", "content_size": 2**40}
    assert await update_content(connection, **own, document_id=DOCUMENT, **content) == 1
    found = await get_document(connection, **own, document_id=DOCUMENT)
    assert found is not None
    assert {name: getattr(found, name) for name in content} == content
    assert found.updated_time is None


@pytest.mark.parametrize(("left", "is_live"), [(timedelta(microseconds=1), True), (timedelta(0), False)])
async def test_a_document_is_hidden_the_moment_that_its_retention_has_passed(
    connection: Connection, own: dict[str, Any], now: datetime, left: timedelta, is_live: bool
) -> None:
    created_time = now - timedelta(days=3) + left
    for name in ("original", "copy"):
        await add(
            connection,
            own,
            name,
            dataset_id=D1,
            retention_in_days=3,
            created_time=created_time,
            content_md5="same",
        )
    named = {**own, "document_id": DocumentId("copy")}
    for statement in (get_document, lock_document):
        assert (await statement(connection, **named) is not None) == is_live
    unfiltered = dict.fromkeys(("dataset_ids", "consent_ids", "document_ids"))
    for order in ("ascending", "descending"):
        rows = await list_documents(connection, **own, **unfiltered, **FIRST_PAGE, order=order)
        assert len(rows) == (2 if is_live else 0)
    dataset = {**own, "dataset_id": D1}
    assert len(await list_duplicates(connection, **dataset, limit=10)) == is_live
    locked = await lock_contents(connection, **dataset, document_ids=[DocumentId("copy")])
    assert locked == ([ContentHashRow(DocumentId("copy"), "same")] if is_live else [])
    bundled = await list_documents_to_bundle(connection, **own, owner_ids=[], dataset_ids=[D1])
    assert len(bundled) == (2 if is_live else 0)
    # A dataset with expired documents is not empty.
    filters = {"dataset_ids": [D1], "consent_ids": None}
    assert len(await list_documents_to_delete(connection, **own, **filters, **FIRST_PAGE)) == 2


FILTERS = [
    ({}, ["a", "b", "c", "d"]),
    ({"dataset_ids": [D1]}, ["a", "b"]),
    ({"dataset_ids": [D1, D2, "unknown"]}, ["a", "b", "c"]),
    ({"consent_ids": [C1]}, ["b", "c"]),
    ({"dataset_ids": [D1], "consent_ids": [C1]}, ["b"]),
    ({"dataset_ids": []}, []),
]


async def add_four(connection: Connection, own: dict[str, Any]) -> None:
    """Add two documents to one dataset, one to another and one to none; ``b`` and ``c`` have a consent."""
    for name, dataset_id, consent_id in (("a", D1, None), ("b", D1, C1), ("c", D2, C1), ("d", None, "c2")):
        await add(connection, own, name, dataset_id=dataset_id, consent_id=consent_id)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [*FILTERS, ({"document_ids": ["d", "a", "unknown"]}, ["a", "d"]), ({"document_ids": []}, [])],
)
async def test_a_document_has_to_meet_all_filters(
    connection: Connection, own: dict[str, Any], filters: dict[str, Any], expected: list[str]
) -> None:
    await add_four(connection, own)
    arguments = {**own, **dict.fromkeys(("dataset_ids", "consent_ids", "document_ids")), **filters}
    rows = await list_documents(connection, **arguments, **FIRST_PAGE, order="ascending")
    assert [row.id for row in rows] == expected
    rows = await list_documents(connection, **arguments, **FIRST_PAGE, order="descending")
    assert [row.id for row in rows] == expected[::-1]


@pytest.mark.parametrize(("filters", "expected"), FILTERS)
async def test_only_documents_that_the_filters_still_take_are_deleted(
    connection: Connection, own: dict[str, Any], filters: dict[str, Any], expected: list[str]
) -> None:
    await add_four(connection, own)
    arguments = {**own, "dataset_ids": None, "consent_ids": None, **filters}
    found = await list_documents_to_delete(connection, **arguments, **FIRST_PAGE)
    assert [row.id for row in found] == expected
    asked = [DocumentId(name) for name in ("a", "b", "c", "unknown")]
    deleted = await delete_documents(connection, **arguments, document_ids=asked)
    assert sorted(row.id for row in deleted) == [name for name in expected if name != "d"]
    left = await connection.fetch("SELECT id FROM document")
    assert {row["id"] for row in left} == {"a", "b", "c", "d"} - {row.id for row in deleted}


async def test_duplicates_are_those_with_the_content_of_an_older_document_of_the_dataset(
    connection: Connection, own: dict[str, Any], now: datetime
) -> None:
    documents = [
        ("a second", D1, "x", 2),
        ("b first", D1, "x", 1),
        ("c third", D1, "x", 3),
        ("tie b", D1, "y", 1),
        ("tie a", D1, "y", 1),
        ("single", D1, "z", 1),
        ("empty", D1, None, 1),
        ("empty too", D1, None, 2),
        ("elsewhere", D2, "x", 0),
    ]
    for name, dataset_id, md5, second in documents:
        created_time = now + timedelta(seconds=second)
        await add(connection, own, name, dataset_id=dataset_id, content_md5=md5, created_time=created_time)
    rows = await list_duplicates(connection, **own, dataset_id=D1, limit=10)
    expected = [("a second", "b first"), ("c third", "b first"), ("tie b", "tie a")]
    assert rows == [DuplicateRow(DocumentId(one), DocumentId(kept)) for one, kept in expected]
    assert await list_duplicates(connection, **own, dataset_id=D1, limit=2) == rows[:2]


async def test_contents_are_those_of_documents_that_are_still_in_the_dataset(
    connection: Connection, own: dict[str, Any]
) -> None:
    for name, dataset_id in (("b", D1), ("a", D1), ("moved", D2)):
        await add(connection, own, name, dataset_id=dataset_id, content_md5=f"md5 of {name}")
    ids = [DocumentId(name) for name in ("b", "a", "moved", "unknown")]
    rows = await lock_contents(connection, **own, dataset_id=D1, document_ids=ids)
    assert rows == [ContentHashRow(DocumentId(name), f"md5 of {name}") for name in ("a", "b")]


async def test_all_documents_of_the_datasets_are_bundled_oldest_first(
    connection: Connection, own: dict[str, Any], now: datetime
) -> None:
    for name, dataset_id, second in (("new", D1, 2), ("old", D2, 1), ("other", None, 0)):
        await add(
            connection,
            own,
            name,
            dataset_id=dataset_id,
            created_time=now + timedelta(seconds=second),
            content_key=name,
            ground_truth=[{"label": name}],
        )
    rows = await list_documents_to_bundle(connection, **own, owner_ids=[], dataset_ids=[D1, D2])
    assert rows == [
        BundledDocumentRow(DocumentId(name), own["organization_id"], name, None, [{"label": name}])
        for name in ("old", "new")
    ]
