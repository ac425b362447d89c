"""Assets through HTTP."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import shutil
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from pagemill.documents.content import MAXIMUM_INLINE_CHARACTERS
from pagemill.errors import Unavailable
from pagemill.objects.local import LocalObjectStore
from tests.support.queries import statements_run
from tests.support.seeds import used
from tests.support.tenants import Tenant
from tests.support.workflow_seeds import seed_transition

FORM = b'{"fields": {"total": {"type": "amount"}}}'


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def create(api: httpx.AsyncClient, content: bytes = FORM, **body: Any) -> dict[str, Any]:
    response = await api.post("/v1/assets", json={"content": encoded(content), **body})
    assert response.status_code == 200, response.text
    return dict(response.json())


def stored(directory: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def test_created_asset(api: httpx.AsyncClient, organization: Tenant) -> None:
    asset = await create(api, name="Form", description=None)
    assert asset == {
        "assetId": asset["assetId"],
        "name": "Form",
        "description": None,
        "contentMD5": hashlib.md5(FORM).hexdigest(),
        "createdTime": asset["createdTime"],
        "createdBy": organization.app_client_id,
        "updatedTime": None,
        "updatedBy": None,
    }
    assert (await api.get(f"/v1/assets/{asset['assetId']}")).json() == {**asset, "content": encoded(FORM)}
    assert (await api.get("/v1/assets")).json() == {"assets": [asset], "nextToken": None}


@pytest.mark.parametrize("content", [b"\0", b"export default () => 1", b"%PDF-1.7", bytes(range(256)) * 99])
async def test_any_bytes_come_back(api: httpx.AsyncClient, content: bytes) -> None:
    asset = await create(api, content)
    read = (await api.get(f"/v1/assets/{asset['assetId']}")).json()
    assert base64.b64decode(read["content"]) == content


async def test_change(api: httpx.AsyncClient, organization: Tenant, objects_directory: Path) -> None:
    asset = await create(api, name="Form", description="of invoices")
    path = f"/v1/assets/{asset['assetId']}"
    changed = (await api.patch(path, json={"name": None})).json()
    assert changed == {
        **asset,
        "name": None,
        "updatedTime": changed["updatedTime"],
        "updatedBy": organization.app_client_id,
    }
    assert changed["updatedTime"] is not None
    replaced = (await api.patch(path, json={"content": encoded(b"new"), "description": None})).json()
    assert (replaced["contentMD5"], replaced["description"]) == (hashlib.md5(b"new").hexdigest(), None)
    assert base64.b64decode((await api.get(path)).json()["content"]) == b"new"
    assert stored(objects_directory) == [b"new"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"content": ""}, "content"),
        ({"content": "not base64"}, "content"),
        ({"content": "A" * (MAXIMUM_INLINE_CHARACTERS + 4)}, "content"),
        ({"content": None}, "content"),
        ({"content": 1}, "content"),
        ({"content": "AA==", "name": "x" * 4097}, "name"),
        ({"content": "AA==", "name": "a\0b"}, "U+0000"),
        ({"content": "AA==", "description": 1}, "description"),
        ({"content": "AA==", "contentMD5": "x"}, "contentMD5"),
    ],
)
async def test_bad_members_are_named_and_nothing_is_stored(
    api: httpx.AsyncClient, objects_directory: Path, body: dict[str, Any], named: str
) -> None:
    asset = await create(api)
    for response in (
        await api.post("/v1/assets", json=body),
        await api.patch(f"/v1/assets/{asset['assetId']}", json=body),
    ):
        assert response.status_code == 400
        assert named in response.json()["message"]
    assert (await api.get("/v1/assets")).json()["assets"] == [asset]
    assert stored(objects_directory) == [FORM]


async def test_content_is_required_and_a_change_needs_a_member(api: httpx.AsyncClient) -> None:
    refused = await api.post("/v1/assets", json={"name": "Form"})
    assert (refused.status_code, "content" in refused.json()["message"]) == (400, True)
    asset = await create(api)
    assert (await api.patch(f"/v1/assets/{asset['assetId']}", json={})).status_code == 400


async def test_the_largest_content_fits(api: httpx.AsyncClient) -> None:
    content = b"x" * (MAXIMUM_INLINE_CHARACTERS // 4 * 3)
    asset = await create(api, content)
    read = (await api.get(f"/v1/assets/{asset['assetId']}")).json()
    assert len(read["content"]) == MAXIMUM_INLINE_CHARACTERS


async def test_deleted_asset_is_gone_with_its_content(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, objects_directory: Path
) -> None:
    asset = await create(api)
    path = f"/v1/assets/{asset['assetId']}"
    shown = (await api.get(path)).json()
    assert shown["content"] == encoded(FORM)
    assert (await api.delete(path)).json() == shown
    for response in (
        await api.get(path),
        await api.delete(path),
        await api.patch(path, json={"content": "AA=="}),
    ):
        assert response.status_code == 404
        assert response.json() == {"message": f"Asset {asset['assetId']} not found"}
    assert stored(objects_directory) == []
    assert await used(pool, organization.organization_id, "assets") == 0


async def test_an_asset_in_use_stays(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    asset_id = (await create(api))["assetId"]
    await seed_transition(pool, organization.organization_id, {"assets": {}}, "manual")
    await seed_transition(pool, organization.organization_id, {"environment": {"FORM": asset_id}})
    await seed_transition(pool, other_organization.organization_id, {"assets": {"x": asset_id}}, "manual")
    transition_id = await seed_transition(
        pool, organization.organization_id, {"assets": {"jsRemoteComponent": "x", "formConfig": asset_id}}
    )
    refused = await api.delete(f"/v1/assets/{asset_id}")
    assert refused.status_code == 400
    assert refused.json() == {"message": f"Asset {asset_id} is used by {transition_id}"}
    assert (await api.get(f"/v1/assets/{asset_id}")).status_code == 200
    await pool.execute("DELETE FROM transition WHERE id = $1", transition_id)
    assert (await api.delete(f"/v1/assets/{asset_id}")).status_code == 200


async def test_limit_stores_nothing(limited_api: httpx.AsyncClient, objects_directory: Path) -> None:
    asset = await create(limited_api)
    refused = await limited_api.post("/v1/assets", json={"content": encoded(b"second")})
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")
    assert stored(objects_directory) == [FORM]
    own = (await limited_api.get("/v1/organizations/me")).json()
    assert (own["numberOfAssetsCreated"], own["numberOfAssetsAllowed"]) == (1, 1)
    await limited_api.delete(f"/v1/assets/{asset['assetId']}")
    await create(limited_api)


async def test_object_storage_that_is_away(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = await create(api)

    async def away(*arguments: object) -> bytes:
        raise Unavailable("The object storage is not available")

    for method in ("get", "put"):
        monkeypatch.setattr(LocalObjectStore, method, away)
    path = f"/v1/assets/{asset['assetId']}"
    for response in (
        await api.get(path),
        await api.post("/v1/assets", json={"content": "AA=="}),
        await api.patch(path, json={"content": "AA=="}),
    ):
        assert response.status_code == 503
        assert "Retry-After" in response.headers
    assert (await api.get("/v1/assets")).json()["assets"] == [asset]
    own = (await api.get("/v1/organizations/me")).json()
    assert own["numberOfAssetsCreated"] == 1


async def test_an_asset_whose_content_is_lost_can_only_be_deleted(
    api: httpx.AsyncClient, objects_directory: Path
) -> None:
    asset = await create(api)
    shutil.rmtree(objects_directory)
    path = f"/v1/assets/{asset['assetId']}"
    assert (await api.get(path)).status_code == 500
    assert (await api.delete(path)).json() == asset


async def test_an_asset_is_deleted_while_storage_is_away(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> bytes:
        raise Unavailable("The object storage is not available")

    asset = await create(api)
    path = f"/v1/assets/{asset['assetId']}"
    with monkeypatch.context() as broken:
        broken.setattr(LocalObjectStore, "get", away)
        assert (await api.delete(path)).json() == asset
    assert (await api.get(path)).status_code == 404


async def test_concurrent_changes_leave_one_content(api: httpx.AsyncClient, objects_directory: Path) -> None:
    path = f"/v1/assets/{(await create(api))['assetId']}"
    contents = [f"content {number}".encode() for number in range(8)]
    answers = await asyncio.gather(
        *(api.patch(path, json={"content": encoded(content)}) for content in contents),
        *(api.get(path) for _ in contents),
    )
    assert {answer.status_code for answer in answers} == {200}
    read = (await api.get(path)).json()
    left = stored(objects_directory)
    assert left == [base64.b64decode(read["content"])]
    assert read["contentMD5"] == hashlib.md5(left[0]).hexdigest()


async def test_concurrent_deletes_count_once(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, objects_directory: Path
) -> None:
    kept, gone = await create(api, b"kept"), await create(api, b"gone")
    path = f"/v1/assets/{gone['assetId']}"
    answers = await asyncio.gather(
        *(api.delete(path) for _ in range(4)), api.patch(path, json={"content": encoded(b"late")})
    )
    assert sorted(answer.status_code for answer in answers[:4]) == [200, 404, 404, 404]
    assert await used(pool, organization.organization_id, "assets") == 1
    assert (await api.get("/v1/assets")).json()["assets"] == [kept]
    assert stored(objects_directory) == [b"kept"]


async def test_paging(api: httpx.AsyncClient) -> None:
    ids = [(await create(api))["assetId"] for _ in range(5)]
    first = (await api.get("/v1/assets", params={"maxResults": "2"})).json()
    assert [asset["assetId"] for asset in first["assets"]] == ids[:2]
    await api.delete(f"/v1/assets/{ids[1]}")
    rest = (await api.get("/v1/assets", params={"nextToken": first["nextToken"]})).json()
    assert [asset["assetId"] for asset in rest["assets"]] == ids[2:]
    assert rest["nextToken"] is None
    for query in ({"nextToken": "foo"}, {"maxResults": "0"}):
        assert (await api.get("/v1/assets", params=query)).status_code == 400


async def test_a_list_runs_one_statement(api: httpx.AsyncClient) -> None:
    for _ in range(3):
        await create(api)
    with statements_run() as names:
        await api.get("/v1/assets")
    assert names == ["principals.find_principal", "assets.list_assets"]
