"""Documents through HTTP."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from pagemill.objects.local import LocalObjectStore
from tests.support.queries import statements_run
from tests.support.samples import BY_TYPE, JPEG, PDF
from tests.support.seeds import used
from tests.support.tenants import Tenant

CONSENTS = [f"las:consent:{digit * 32}" for digit in "ab"]
UNKNOWN = f"las:document:{'0' * 32}"


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def stored_files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


async def create(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await api.post("/v1/documents", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def create_dataset(api: httpx.AsyncClient, **body: Any) -> str:
    return str((await api.post("/v1/datasets", json=body)).json()["datasetId"])


async def listed(api: httpx.AsyncClient, **parameters: Any) -> list[str]:
    response = await api.get("/v1/documents", params=parameters)
    assert response.status_code == 200, response.text
    return [document["documentId"] for document in response.json()["documents"]]


async def test_empty_document(api: httpx.AsyncClient, organization: Tenant) -> None:
    document = await create(api)
    assert document == {
        "documentId": document["documentId"],
        "contentType": None,
        "contentMD5": None,
        "fileUrl": f"https://localhost:8443/v1/files/{document['documentId']}",
        "name": None,
        "description": None,
        "metadata": None,
        "groundTruth": [],
        "retentionInDays": 1825,
        "createdTime": document["createdTime"],
        "createdBy": organization.app_client_id,
        "updatedTime": None,
        "updatedBy": None,
    }
    assert (await api.get(f"/v1/documents/{document['documentId']}")).json() == document


async def test_document_with_everything(api: httpx.AsyncClient) -> None:
    dataset_id = await create_dataset(api)
    body = {
        "datasetId": dataset_id,
        "consentId": CONSENTS[0],
        "name": "Invoice",
        "description": "March",
        "metadata": {"originalFilePath": "a.pdf", "n": 1.5},
        "retentionInDays": 10,
        "groundTruth": [
            {"label": "total", "value": "12.00", "pages": [0], "confidence": 0.9},
            {"label": "paid", "value": False},
            {"label": "items", "value": [[{"label": "text", "value": "Tea"}, {"label": "qty", "value": 2}]]},
            {"label": "none", "value": None},
        ],
    }
    document = await create(api, content=encoded(PDF), contentType="application/pdf", **body)
    assert {name: document[name] for name in body} == body
    assert document["contentType"] == "application/pdf"
    assert document["contentMD5"] == hashlib.md5(PDF, usedforsecurity=False).hexdigest()
    assert "content" not in document
    got = (await api.get(f"/v1/documents/{document['documentId']}")).json()
    assert got == {**document, "content": encoded(PDF)}
    assert (await api.get("/v1/documents")).json()["documents"] == [document]


@pytest.mark.parametrize("content_type", BY_TYPE)
async def test_the_type_is_recognised_from_the_bytes(api: httpx.AsyncClient, content_type: str) -> None:
    claimed = "image/png" if content_type != "image/png" else "image/jpeg"
    document = await create(api, content=encoded(BY_TYPE[content_type]), contentType=claimed)
    assert document["contentType"] == content_type


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"content": "no base64!"}, "content: is not base64"),
        ({"content": "é"}, "content: is not base64"),
        ({"content": encoded(b"plain text")}, "content: is not a PDF, JPEG, PNG, TIFF or WebP"),
        ({"content": ""}, "content"),
        ({"content": encoded(PDF), "size": 1}, "size"),
        ({"content": encoded(PDF), "contentType": "text/plain"}, "contentType"),
        ({"content": encoded(PDF), "consentId": "las:consent:1"}, "consentId"),
        ({"content": encoded(PDF), "consentId": CONSENTS[0] + "\n"}, "consentId"),
        ({"content": encoded(PDF), "datasetId": f"las:dataset:{'0' * 32}"}, "datasetId"),
        ({"content": encoded(PDF), "retentionInDays": 0}, "retentionInDays"),
        ({"content": encoded(PDF), "name": "a\0b"}, "U+0000"),
        ({"content": encoded(PDF), "metadata": {"a": "x" * 5000}}, "metadata"),
        ({"content": encoded(PDF), "groundTruth": [{"label": "a b", "value": 1}]}, "groundTruth[0].label"),
        ({"content": encoded(PDF), "groundTruth": [{"label": "a", "value": {}}]}, "groundTruth[0].value"),
        ({"content": encoded(PDF), "groundTruth": [{"label": "a", "value": ["b"]}]}, "groundTruth[0].value"),
        ({"content": encoded(PDF), "groundTruth": [{"label": "a", "value": "\0"}]}, "U+0000"),
    ],
)
async def test_an_invalid_document_leaves_nothing_behind(
    api: httpx.AsyncClient,
    organization: Tenant,
    pool: asyncpg.Pool,
    objects_directory: Path,
    body: dict[str, Any],
    named: str,
) -> None:
    response = await api.post("/v1/documents", json=body)
    assert response.status_code == 400
    assert named in response.json()["message"]
    assert await listed(api) == []
    assert stored_files(objects_directory) == []
    assert await used(pool, organization.organization_id, "documents") == 0


async def test_inline_content_is_bounded(api: httpx.AsyncClient, objects_directory: Path) -> None:
    largest = PDF + bytes(4_687_500 - len(PDF))
    document = await create(api, content=encoded(largest))
    got = (await api.get(f"/v1/documents/{document['documentId']}")).json()
    assert base64.b64decode(got["content"]) == largest
    for content, status in ((encoded(largest + b"123"), 400), ("A" * 11_000_000, 413)):
        refused = await api.post("/v1/documents", json={"content": content})
        assert refused.status_code == status
        assert refused.json()["message"]
    assert len(stored_files(objects_directory)) == 1


async def test_content_whose_object_is_lost_is_left_out(
    api: httpx.AsyncClient, objects_directory: Path
) -> None:
    document = await create(api, content=encoded(PDF))
    [file] = stored_files(objects_directory)
    file.unlink()
    assert (await api.get(f"/v1/documents/{document['documentId']}")).json() == document


async def test_bytes_while_storage_is_away(
    api: httpx.AsyncClient, objects_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = await create(api, content=encoded(PDF))
    monkeypatch.setattr(LocalObjectStore, "_path", _away)
    for response in (
        await api.get(f"/v1/documents/{document['documentId']}"),
        await api.get(f"/v1/files/{document['documentId']}"),
        await api.put(f"/v1/files/{document['documentId']}", content=PDF),
        await api.post("/v1/documents", json={"content": encoded(PDF)}),
    ):
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0
    assert await listed(api) == [document["documentId"]]
    assert (await api.delete(f"/v1/documents/{document['documentId']}")).status_code == 200


def _away(store: LocalObjectStore, key: str) -> Path:
    from pagemill.errors import Unavailable

    raise Unavailable("The object storage is not available", detail=key)


async def test_update(api: httpx.AsyncClient, organization: Tenant) -> None:
    document = await create(api, name="a", description="b", metadata={"k": 1}, content=encoded(JPEG))
    path = f"/v1/documents/{document['documentId']}"
    truth = [{"label": "total", "value": 5}]
    body = {"name": None, "metadata": {"z": 2}, "groundTruth": truth, "retentionInDays": 7}
    updated = (await api.patch(path, json=body)).json()
    assert updated == {
        **document,
        **body,
        "updatedTime": updated["updatedTime"],
        "updatedBy": organization.app_client_id,
    }
    cleared = (await api.patch(path, json={"groundTruth": None, "description": None})).json()
    assert (cleared["groundTruth"], cleared["description"], cleared["metadata"]) == ([], None, {"z": 2})
    assert (await api.patch(path, json={"metadata": None})).json()["metadata"] in (None, {})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"datasetId": None},
        {"datasetId": f"las:dataset:{'0' * 32}"},
        {"retentionInDays": None},
        {"content": encoded(PDF)},
        {"consentId": CONSENTS[0]},
        {"groundTruth": [{"label": "a"}]},
        {"name": "b", "groundTruth": [{"label": "a", "value": "x" * 1025}]},
    ],
)
async def test_bad_update_changes_nothing(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    document = await create(api, name="a", datasetId=await create_dataset(api))
    path = f"/v1/documents/{document['documentId']}"
    assert (await api.patch(path, json=body)).status_code == 400
    assert (await api.get(path)).json() == document


async def test_a_foreign_dataset_is_unknown(api: httpx.AsyncClient, other_api: httpx.AsyncClient) -> None:
    theirs = await create_dataset(other_api)
    document = await create(api)
    for response in (
        await api.post("/v1/documents", json={"datasetId": theirs}),
        await api.patch(f"/v1/documents/{document['documentId']}", json={"datasetId": theirs}),
    ):
        assert response.status_code == 400
        assert response.json()["message"] == f"datasetId: dataset {theirs} does not exist"
    assert (await other_api.get(f"/v1/datasets/{theirs}")).json()["numberOfDocuments"] == 0


async def test_retention_is_the_shorter_of_document_and_dataset(api: httpx.AsyncClient) -> None:
    short, long = await create_dataset(api, retentionInDays=30), await create_dataset(api)
    document = await create(api, datasetId=short)
    assert document["retentionInDays"] == 30
    assert (await create(api, datasetId=short, retentionInDays=7))["retentionInDays"] == 7
    path = f"/v1/documents/{document['documentId']}"
    for body, retention in (
        ({"retentionInDays": 100}, 30),
        ({"datasetId": long}, 30),
        ({"retentionInDays": 100}, 100),
        ({"datasetId": short, "retentionInDays": 60}, 30),
    ):
        assert (await api.patch(path, json=body)).json()["retentionInDays"] == retention
    await api.patch(f"/v1/datasets/{short}", json={"retentionInDays": 5})
    assert (await api.patch(path, json={"name": "x"})).json()["retentionInDays"] == 30


async def test_list_filters_and_returns_them(api: httpx.AsyncClient) -> None:
    datasets = [await create_dataset(api) for _ in range(2)]
    ids = [
        (await create(api, datasetId=dataset_id, consentId=consent_id))["documentId"]
        for dataset_id in datasets
        for consent_id in CONSENTS
    ]
    assert await listed(api) == ids
    assert await listed(api, datasetId=datasets[0]) == ids[:2]
    assert await listed(api, datasetId=datasets) == ids
    assert await listed(api, consentId=CONSENTS[1]) == [ids[1], ids[3]]
    assert await listed(api, datasetId=datasets[1], consentId=CONSENTS[1]) == [ids[3]]
    assert await listed(api, documentId=[ids[2], ids[0], UNKNOWN]) == [ids[0], ids[2]]
    assert await listed(api, datasetId=f"las:dataset:{'0' * 32}") == []
    assert await listed(api, order="descending", sortBy="createdTime") == ids[::-1]
    parameters = {
        "datasetId": datasets[0],
        "consentId": CONSENTS,
        "order": "ascending",
        "sortBy": "createdTime",
    }
    body = (await api.get("/v1/documents", params=parameters)).json()
    del body["documents"]
    assert body == {**parameters, "datasetId": [datasets[0]], "nextToken": None}


@pytest.mark.parametrize("order", ["ascending", "descending"])
async def test_pages_in_both_orders(api: httpx.AsyncClient, order: str) -> None:
    ids = [(await create(api))["documentId"] for _ in range(5)]
    seen: list[str] = []
    token: str | None = ""
    while token is not None:
        parameters = {"maxResults": "2", "order": order, "nextToken": token}
        page = (await api.get("/v1/documents", params=parameters)).json()
        seen += [document["documentId"] for document in page["documents"]]
        token = page["nextToken"]
    assert seen == (ids if order == "ascending" else ids[::-1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("order", "up"),
        ("sortBy", "name"),
        ("maxResults", "0"),
        ("maxResults", "many"),
        ("nextToken", "foo"),
        ("datasetId", "a\0b"),
    ],
)
async def test_bad_query(api: httpx.AsyncClient, name: str, value: str) -> None:
    response = await api.get("/v1/documents", params={name: value})
    assert response.status_code == 400
    assert name in response.json()["message"] or "U+0000" in response.json()["message"]


async def test_list_runs_the_same_statements_for_any_number(api: httpx.AsyncClient) -> None:
    with statements_run() as for_none:
        await listed(api)
    for _ in range(3):
        await create(api, content=encoded(PDF), groundTruth=[{"label": "a", "value": 1}])
    with statements_run() as for_three:
        await listed(api)
    assert for_three == for_none == ["principals.find_principal", "documents.list_documents_ascending"]


async def test_deletion_removes_content_once(api: httpx.AsyncClient, objects_directory: Path) -> None:
    document = await create(api, content=encoded(PDF))
    path = f"/v1/documents/{document['documentId']}"
    assert (await api.delete(path)).json() == document
    assert stored_files(objects_directory) == []
    for method in ("GET", "DELETE", "PATCH"):
        response = await api.request(method, path, json={"name": "x"} if method == "PATCH" else None)
        assert response.status_code == 404
        assert response.json() == {"message": f"Document {document['documentId']} not found"}


async def test_a_document_is_deleted_once(api: httpx.AsyncClient) -> None:
    dataset_id = await create_dataset(api)
    document = await create(api, datasetId=dataset_id, content=encoded(PDF))
    await create(api, datasetId=dataset_id)
    path = f"/v1/documents/{document['documentId']}"
    answers = await asyncio.gather(*(api.delete(path) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404, 404]
    assert (await api.get(f"/v1/datasets/{dataset_id}")).json()["numberOfDocuments"] == 1


async def test_limit_is_reached_and_not_given_back(
    limited_api: httpx.AsyncClient, objects_directory: Path
) -> None:
    document = await create(limited_api)
    await limited_api.delete(f"/v1/documents/{document['documentId']}")
    refused = await limited_api.post("/v1/documents", json={"content": encoded(PDF)})
    assert refused.status_code == 429
    assert refused.json()["message"] == "Limit Exceeded"
    assert stored_files(objects_directory) == []


async def test_bulk_deletion_continues_until_nothing_is_left(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, objects_directory: Path
) -> None:
    theirs = (await create(other_api))["documentId"]
    ids = [(await create(api, content=encoded(PDF)))["documentId"] for _ in range(5)]
    deleted: list[str] = []
    tokens: list[str] = []
    parameters: dict[str, str] = {"maxResults": "2"}
    while True:
        page = (await api.delete("/v1/documents", params=parameters)).json()
        deleted += [document["documentId"] for document in page["documents"]]
        if page["nextToken"] is None:
            break
        tokens.append(page["nextToken"])
        parameters["nextToken"] = page["nextToken"]
    assert deleted == ids
    assert len(set(tokens)) == len(tokens) == 2
    assert stored_files(objects_directory) == []
    assert await listed(other_api) == [theirs]


async def test_bulk_deletion_without_tokens_makes_progress(api: httpx.AsyncClient) -> None:
    for _ in range(3):
        await create(api)
    for left in (2, 1, 0, 0):
        await api.delete("/v1/documents", params={"maxResults": "1"})
        assert len(await listed(api)) == left


async def test_bulk_deletion_takes_at_most_a_thousand(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    dataset_id = await create_dataset(api)
    await pool.execute(
        """
        INSERT INTO document (organization_id, id, dataset_id)
        SELECT $1, 'las:document:' || md5(number::text), $2 FROM generate_series(1, 1001) AS number
        """,
        organization.organization_id,
        dataset_id,
    )
    await pool.execute("UPDATE dataset SET number_of_documents = 1001 WHERE id = $1", dataset_id)
    parameters = {"datasetId": dataset_id, "maxResults": "5000"}
    first = (await api.delete("/v1/documents", params=parameters)).json()
    assert (len(first["documents"]), await pool.fetchval("SELECT count(*) FROM document")) == (1000, 1)
    rest = (await api.delete("/v1/documents", params={**parameters, "nextToken": first["nextToken"]})).json()
    assert (len(rest["documents"]), rest["nextToken"]) == (1, None)
    assert (await api.delete(f"/v1/datasets/{dataset_id}")).status_code == 200


async def test_bulk_deletion_filters(api: httpx.AsyncClient) -> None:
    dataset_id = await create_dataset(api)
    kept = (await create(api, consentId=CONSENTS[0]))["documentId"]
    inside = (await create(api, datasetId=dataset_id, consentId=CONSENTS[0]))["documentId"]
    other = (await create(api, datasetId=dataset_id, consentId=CONSENTS[1]))["documentId"]
    parameters = {"datasetId": dataset_id, "consentId": CONSENTS[0]}
    body = (await api.delete("/v1/documents", params=parameters)).json()
    assert [document["documentId"] for document in body["documents"]] == [inside]
    assert (body["datasetId"], body["consentId"]) == ([dataset_id], [CONSENTS[0]])
    assert await listed(api) == [kept, other]


@pytest.mark.parametrize("name", ["batchId", "documentId", "sortBy", "datasetid"])
async def test_bulk_deletion_refuses_filters_it_does_not_know(api: httpx.AsyncClient, name: str) -> None:
    document = await create(api)
    response = await api.delete("/v1/documents", params={name: document["documentId"]})
    assert response.status_code == 400
    assert name in response.json()["message"]
    assert await listed(api) == [document["documentId"]]


async def test_bulk_deletion_runs_a_fixed_number_of_statements(api: httpx.AsyncClient) -> None:
    for _ in range(4):
        await create(api, content=encoded(PDF))
    with statements_run() as names:
        await api.delete("/v1/documents")
    assert names == [
        "principals.find_principal",
        "documents.list_documents_to_delete",
        "documents.delete_documents",
        "erasures.begin_erasure",
        "audit_events.insert_audit_event",
    ]


async def expire(pool: asyncpg.Pool, document_id: str) -> None:
    """Let the document expire."""
    await pool.execute(
        """
        UPDATE document SET created_time = now() - make_interval(days => retention_in_days, secs => 1)
        WHERE id = $1
        """,
        document_id,
    )


async def test_an_expired_document_is_not_found(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    dataset_id = await create_dataset(api, retentionInDays=3)
    expired = (await create(api, datasetId=dataset_id, content=encoded(PDF)))["documentId"]
    await expire(pool, expired)
    live = (await create(api, retentionInDays=3, content=encoded(PDF)))["documentId"]
    await pool.execute("UPDATE document SET created_time = now() - interval '71 h' WHERE id = $1", live)
    for order in ("ascending", "descending"):
        assert await listed(api, order=order) == [live]
    assert await listed(api, documentId=expired) == []
    for method, kind, body in (
        ("GET", "documents", None),
        ("PATCH", "documents", {"retentionInDays": 100}),
        ("GET", "files", None),
        ("PUT", "files", None),
    ):
        answer = await api.request(method, f"/v1/{kind}/{expired}", json=body)
        assert (answer.status_code, answer.json()) == (404, {"message": f"Document {expired} not found"})
    assert (await api.get(f"/v1/documents/{live}")).status_code == 200
    # Until it is removed it counts as one of its dataset's, so that bulk deletion empties the dataset.
    assert (await api.delete(f"/v1/datasets/{dataset_id}")).status_code == 400
    deleted = (await api.delete("/v1/documents", params={"datasetId": dataset_id})).json()["documents"]
    assert [document["documentId"] for document in deleted] == [expired]
    assert (await api.delete(f"/v1/datasets/{dataset_id}")).status_code == 200


async def test_a_shorter_retention_can_end_a_document(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    document_id = (await create(api))["documentId"]
    await pool.execute(
        "UPDATE document SET created_time = now() - interval '30 h' WHERE id = $1", document_id
    )
    path = f"/v1/documents/{document_id}"
    assert (await api.patch(path, json={"retentionInDays": 2})).status_code == 200
    assert (await api.patch(path, json={"retentionInDays": 1})).json()["retentionInDays"] == 1
    assert (await api.get(path)).status_code == 404
