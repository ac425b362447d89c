"""What a role denies is denied wherever the id stands: in paths, bodies, queries, lists, and in bulk.

Places of ids are those of ``test_tenants``: its tests fail for an id in a body or query that has no line.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.api.auth.named_resources import COMMONS
from pagemill.ids import TrainingId, new_id
from pagemill.settings import Settings
from tests.integration.api.auth.test_tenants import NAMED, NOBODYS, places, with_member
from tests.integration.api.conftest import client_of
from tests.support.everything import KINDS, body_of, fill, kind_of, rows_of, seed_everything
from tests.support.operations import operations
from tests.support.people import add_app_client, add_role
from tests.support.seeds import seed_document
from tests.support.tenants import Tenant

FORBIDDEN = (403, {"message": "Forbidden"})
ALL = {"resourceId": "*", "action": "*", "effect": "allow"}
Ids = Mapping[str, str]


class Limited:
    """Calls of an app client whose one role the test changes; a change counts at once."""

    def __init__(self, client: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
        self.client, self._pool = client, pool

    async def deny(self, *ids: str, action: str = "*") -> None:
        denied = [{"resourceId": one, "action": action, "effect": "deny"} for one in ids]
        await self._pool.execute("UPDATE role SET permissions = $1 WHERE id = 'las:role:own'", [ALL, *denied])

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self.client.request(method, f"/v1{path}", **({} if body is None else {"json": body}))


@pytest.fixture
async def mine(pool: asyncpg.Pool, organization: Tenant) -> dict[str, str]:
    return await seed_everything(pool, organization)


@pytest.fixture
async def limited(
    app: Litestar, settings: Settings, pool: asyncpg.Pool, organization: Tenant
) -> AsyncIterator[Limited]:
    async with pool.acquire() as connection:
        role_id = await add_role(connection, "own", ("*", "*", "allow"))
        principal_id = await add_app_client(connection, organization.organization_id, role_ids=[role_id])
    async with client_of(app, settings, organization, principal_id) as client:
        yield Limited(client, pool)


async def rows_but_events(pool: asyncpg.Pool, organization: Tenant) -> dict[str, list[Any]]:
    """All rows of an organization; refusals become events some seconds later."""
    rows = await rows_of(pool, organization.organization_id)
    del rows["audit_event"]
    return rows


def status_and_body(response: httpx.Response) -> tuple[int, Any]:
    return response.status_code, response.json()


async def test_ids_in_paths(
    routes: Litestar, pool: asyncpg.Pool, limited: Limited, organization: Tenant, mine: Ids
) -> None:
    """Each id in a path, also one above the resource, refuses by itself."""
    before = await rows_but_events(pool, organization)
    asked = 0
    for operation in operations(routes):
        method, path = operation.split(" ")
        for name in [part.strip("{}") for part in path.split("/") if part.startswith("{")]:
            kind = kind_of(name, path)
            if kind in NOBODYS or name in ("owner", "ownerId") or kind not in mine:
                continue
            await limited.deny(mine[kind])
            response = await limited.ask(method, fill(path, mine), body_of(method, path, mine))
            assert status_and_body(response) == FORBIDDEN, (operation, name)
            asked += 1
    await limited.deny()
    assert asked > 70
    assert await rows_but_events(pool, organization) == before


@pytest.mark.parametrize("operation", sorted(NAMED))
async def test_ids_in_bodies(limited: Limited, mine: Ids, operation: str) -> None:
    """The same body is refused for each id in it that may not be read, and for no other reason."""
    method, path = operation.split(" ")
    for place, kind in places(NAMED[operation]):
        body = with_member(body_of(method, path, mine) or {}, NAMED[operation], place, mine[kind])
        assert mine[kind] in json.dumps(body)
        await limited.deny(mine[kind], action="read")
        refused = await limited.ask(method, fill(path, mine), body)
        assert status_and_body(refused) == FORBIDDEN, (operation, place)
        await limited.deny()
        allowed = await limited.ask(method, fill(path, mine), body)
        assert allowed.status_code != 403, (operation, place, allowed.text)


async def test_composite_ids_are_those_of_their_resource(limited: Limited, mine: Ids) -> None:
    body = {"documentId": mine["documentId"], "modelId": f"{mine['organizationId']}/{mine['modelId']}"}
    await limited.deny(mine["modelId"])
    assert status_and_body(await limited.ask("POST", "/predictions", body)) == FORBIDDEN


async def test_transitions_in_definitions(limited: Limited, mine: Ids) -> None:
    def workflow(resource: str) -> dict[str, Any]:
        state = {"Type": "Task", "Resource": resource, "End": True}
        return {"specification": {"definition": {"StartAt": "A", "States": {"A": state}}}}

    assert (await limited.ask("POST", "/workflows", workflow(mine["transitionId"]))).status_code == 200
    await limited.deny("las:transition:*")
    refused = await limited.ask("POST", "/workflows", workflow(mine["transitionId"]))
    assert status_and_body(refused) == FORBIDDEN
    assert (await limited.ask("POST", "/workflows", workflow(f"{COMMONS}failed"))).status_code != 403


async def test_ids_in_queries(routes: Litestar, limited: Limited, mine: Ids) -> None:
    asked = 0
    for path, item in routes.openapi_schema.to_schema()["paths"].items():
        for method, operation in item.items():
            for parameter in operation["parameters"]:
                name = parameter["name"]
                kind = kind_of(name, path)
                if parameter["in"] != "query" or not name.endswith("Id") or kind in NOBODYS or name in KINDS:
                    continue
                if name == "executionId":
                    continue
                await limited.deny(mine[str(kind)], action="read")
                filled = fill(path.removeprefix("/v1"), mine)
                response = await limited.ask(method.upper(), f"{filled}?{name}={mine[str(kind)]}")
                assert status_and_body(response) == FORBIDDEN, (method, path, name)
                asked += 1
    assert asked >= 8


async def test_lists_leave_out_what_is_denied(routes: Litestar, limited: Limited, mine: Ids) -> None:
    asked = 0
    for operation in operations(routes):
        method, path = operation.split(" ")
        if method != "GET" or path.endswith("}") or path in ("/auditEvents",) or "attempts" in path:
            continue
        if "{owner" in path:
            continue
        await limited.deny()
        whole = await limited.ask("GET", fill(path, mine))
        ids = [value for value in mine.values() if f'"{value}"' in whole.text and value not in path]
        listed = [one for one in ids if is_listed(whole.json(), one)]
        for identifier in listed:
            if identifier == mine["organizationId"]:
                continue
            await limited.deny(identifier, action="read")
            response = await limited.ask("GET", fill(path, mine))
            if response.status_code == 403:
                # It stands in the path, too.
                continue
            assert not is_listed(response.json(), identifier), (path, identifier)
            asked += 1
    assert asked >= 14


def is_listed(answer: Mapping[str, Any], identifier: str) -> bool:
    """Whether an item of a list has this id of its own, which is its first one."""
    items = [item for value in answer.values() if isinstance(value, list) for item in value]
    return any(
        next((value for name, value in item.items() if name.endswith("Id")), None) == identifier
        for item in items
        if isinstance(item, dict)
    )


async def test_pages_go_on_behind_what_is_left_out(
    limited: Limited, pool: asyncpg.Pool, organization: Tenant
) -> None:
    ids = [await seed_document(pool, organization.organization_id) for _ in range(4)]
    await limited.deny(ids[0], ids[1], ids[3], action="read")
    seen, token, pages = [], "", 0
    while token is not None:
        page = (await limited.ask("GET", f"/documents?maxResults=1&nextToken={token}")).json()
        seen += [document["documentId"] for document in page["documents"]]
        token, pages = page["nextToken"], pages + 1
    assert (seen, pages) == ([ids[2]], 4)


async def test_what_is_denied_survives_a_bulk_deletion(
    limited: Limited, pool: asyncpg.Pool, organization: Tenant
) -> None:
    kept, gone, unseen = [await seed_document(pool, organization.organization_id) for _ in range(3)]
    await limited.deny(kept, action="write")
    await pool.execute(
        "UPDATE role SET permissions = permissions || $1::jsonb WHERE id = 'las:role:own'",
        [{"resourceId": unseen, "action": "read", "effect": "deny"}],
    )
    answer = (await limited.ask("DELETE", "/documents")).json()
    assert ([one["documentId"] for one in answer["documents"]], answer["nextToken"]) == ([gone], None)
    assert [row["id"] for row in await pool.fetch("SELECT id FROM document ORDER BY id")] == [kept]


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("/models/{modelId}", "trainingId"),
        ("/models/{modelId}", "dataBundleId"),
        ("/workflows/{workflowId}", "workflowExecutionId"),
        ("/transitions/{transitionId}", "transitionExecutionId"),
    ],
)
async def test_what_is_denied_is_not_deleted_with_something_else(
    pool: asyncpg.Pool, limited: Limited, organization: Tenant, mine: Ids, path: str, below: str
) -> None:
    before = await rows_but_events(pool, organization)
    await limited.deny(mine[below], action="write")
    assert status_and_body(await limited.ask("DELETE", fill(path, mine))) == FORBIDDEN
    assert await rows_but_events(pool, organization) == before


async def test_duplicates_are_not_removed_by_who_may_not_write_every_document(
    limited: Limited, mine: Ids
) -> None:
    path = fill("/datasets/{datasetId}/transformations", mine)
    body = {"operations": [{"type": "remove-duplicates"}]}
    await limited.deny(mine["documentId"], action="write")
    assert status_and_body(await limited.ask("POST", path, body)) == FORBIDDEN
    await limited.deny(new_id(TrainingId), action="write")
    assert (await limited.ask("POST", path, body)).status_code == 200


async def test_an_own_id_in_free_metadata_is_only_text(limited: Limited, mine: Ids) -> None:
    await limited.deny(mine["documentId"])
    made = await limited.ask("POST", "/datasets", {"metadata": {"from": mine["documentId"]}})
    assert made.status_code == 200


@pytest.mark.parametrize("path", ["/appClients", "/users"])
async def test_no_role_is_more_than_a_role_that_may_not_be_given(
    limited: Limited, mine: Ids, path: str
) -> None:
    """Without roles one may do everything, so a denial of one role is a denial of none at all."""
    kind = "appClientId" if path == "/appClients" else "userId"
    body = {} if path == "/appClients" else {"email": "new@example.com"}
    await limited.deny("las:role:admin", action="delegate")
    for answer in (
        await limited.ask("POST", path, {**body, "roleIds": []}),
        await limited.ask("POST", path, body),
        await limited.ask("PATCH", f"{path}/{mine[kind]}", {"roleIds": []}),
    ):
        assert status_and_body(answer) == FORBIDDEN
    await limited.deny("las:role:admin", action="read")
    assert (await limited.ask("PATCH", f"{path}/{mine[kind]}", {"roleIds": []})).status_code == 200


async def test_who_may_not_give_every_role_registers_no_callback(limited: Limited) -> None:
    """Admins who follow a link to such an app client would hand their tokens over."""
    body = {"generateSecret": False, "roleIds": ["las:role:own"]}
    await limited.deny("las:role:admin", action="delegate")
    assert (await limited.ask("POST", "/appClients", body)).status_code == 200
    refused = await limited.ask("POST", "/appClients", {**body, "callbackUrls": ["https://evil.example.com"]})
    assert status_and_body(refused) == FORBIDDEN


async def test_who_may_not_read_a_secret_chooses_no_image_for_it(
    limited: Limited, pool: asyncpg.Pool, mine: Ids
) -> None:
    """Members of the parameters that are not sent keep their value, and the image gets their secrets."""
    parameters = {"imageUrl": "image", "environmentSecrets": [mine["secretId"]]}
    made = await limited.ask("POST", "/transitions", {"transitionType": "docker", "parameters": parameters})
    path = f"/transitions/{made.json()['transitionId']}"
    await limited.deny(mine["secretId"], action="read")
    before = await pool.fetchval("SELECT parameters FROM transition WHERE id = $1", path.rpartition("/")[2])
    changes = {"parameters": {"imageUrl": "evil"}}
    assert status_and_body(await limited.ask("PATCH", path, changes)) == FORBIDDEN
    after = await pool.fetchval("SELECT parameters FROM transition WHERE id = $1", path.rpartition("/")[2])
    assert after == before
    assert (await limited.ask("PATCH", path, {"name": "other"})).status_code == 200
    without = {"parameters": {"imageUrl": "other", "environmentSecrets": None}}
    assert (await limited.ask("PATCH", path, without)).status_code == 200
