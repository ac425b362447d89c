"""Tests of the audit: who did what is recorded with what was done, and can be read by admins alone."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.api.auth.seeded_roles import ADMIN, MEMBER, VALIDATOR
from pagemill.api.http.app_state import AppState
from pagemill.api.http.auditing import is_audited
from pagemill.audit import AuditEvent, record
from pagemill.settings import Settings
from pagemill.stack.bootstrap import PLAN_SLUG
from tests.integration.api.auth.test_matrix import MAY, call, in_order
from tests.integration.api.conftest import client_of
from tests.integration.api.resources.test_organizations import add_plan
from tests.support.everything import kind_of, seed_everything
from tests.support.operations import api_path, protected_handlers
from tests.support.people import add_principal
from tests.support.seeds import seed_document
from tests.support.tenants import Tenant

PATH = "/v1/auditEvents"


async def events(api: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    response = await api.get(PATH, params=query)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["auditEvents"]
    return found


def test_what_is_audited_can_be_recorded(routes: Litestar) -> None:
    """A handler works on the request's connection, or records in a transaction of its own."""
    for method, template, handler in protected_handlers(routes):
        parameters = handler.parsed_fn_signature.parameters
        if is_audited(template, method):
            assert {"connection", "audited"} & set(parameters), (method, api_path(template))


async def test_every_change_has_one_event(
    routes: Litestar,
    app: Litestar,
    settings: Settings,
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
) -> None:
    """Whatever changes something leaves an event about it; what changes nothing leaves none."""
    mine = await seed_everything(pool, organization) | {"roleId": VALIDATOR}
    await add_plan(pool, PLAN_SLUG.rsplit(":", 1)[-1], 1)
    audited = {
        f"{method} {api_path(template)}": handler.handler_name
        for method, template, handler in protected_handlers(routes)
        if is_audited(template, method)
    }
    principal_id = await add_principal(pool, organization.organization_id, "user", [ADMIN])
    async with client_of(app, settings, organization, principal_id) as client:
        for operation in in_order(MAY):
            before = await pool.fetchval("SELECT count(*) FROM audit_event")
            status, answer = await call(client, operation, mine | {"profileId": "me"}, mine)
            changed = operation in audited and status in (200, 204)
            rows = await pool.fetch("SELECT * FROM audit_event ORDER BY time DESC")
            assert len(rows) - before == int(changed), (operation, status, answer)
            if changed:
                event = rows[0]
                first, *others = audited[operation].split("_")
                assert event["action"] == first + "".join(other.capitalize() for other in others)
                assert (event["principal_id"], event["outcome"]) == (principal_id, "succeeded")
                assert (event["organization_id"], event["address"]) == (
                    organization.organization_id,
                    "127.0.0.1",
                )
                assert event["profile_id"] is not None
                assert event["resource_id"] in resources_of(operation, answer, mine), operation


def resources_of(operation: str, answer: Any, mine: dict[str, str]) -> set[str]:
    """Ids that the event of an operation may have: of the answer, or of the path."""
    path = operation.split(" ")[1]
    named = {mine.get(str(kind_of(part.strip("{}"), path)), "") for part in path.split("/")}
    shown = {value for value in (answer or {}).values() if isinstance(value, str)}
    return named | shown | {"las:profile:me", "las:document:*"}


async def test_events_tell_who_did_what_from_where(api: httpx.AsyncClient, organization: Tenant) -> None:
    made = (await api.post("/v1/webhooks", json=WEBHOOK, headers={"X-Request-Id": "one"})).json()
    (event,) = await events(api)
    assert event == {
        "auditEventId": event["auditEventId"],
        "time": event["time"],
        "action": "createWebhook",
        "outcome": "succeeded",
        "principalId": organization.app_client_id,
        "profileId": None,
        "resourceId": made["webhookId"],
        "address": "127.0.0.1",
        "requestId": "one",
        "details": {},
    }


WEBHOOK = {"url": "https://example.com/hook", "eventTypes": ["prediction.failed"]}


async def test_roles_that_are_given_are_in_the_event(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    principal_id = await add_principal(pool, organization.organization_id, "user", [MEMBER])
    await api.patch(f"/v1/users/{principal_id}", json={"metadata": {}})
    await api.patch(f"/v1/users/{principal_id}", json={"roleIds": [ADMIN, ADMIN]})
    await api.post("/v1/appClients", json={"roleIds": [VALIDATOR]})
    await api.post("/v1/users", json={"email": "new@example.com"})
    assert [(event["action"], event["details"]) for event in await events(api)] == [
        ("updateUser", {}),
        ("updateUser", {"roleIds": [ADMIN]}),
        ("createAppClient", {"roleIds": [VALIDATOR]}),
        ("createUser", {"roleIds": []}),
    ]


async def test_secrets_are_not_in_events(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    secret = uuid.uuid4().hex
    await api.post("/v1/secrets", json={"data": {"password": secret}, "name": secret})
    client_secret = (await api.post("/v1/appClients", json={})).json()["clientSecret"]
    stored = "".join(row[0] for row in await pool.fetch("SELECT audit_event::text FROM audit_event"))
    assert "createSecret" in stored
    assert secret not in stored
    assert client_secret not in stored


async def test_what_is_undone_is_not_recorded(
    limited_api: httpx.AsyncClient, api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    assert (await limited_api.post("/v1/datasets", json={})).status_code == 200
    assert (await limited_api.post("/v1/datasets", json={})).status_code == 429
    assert (await api.patch(f"/v1/datasets/las:dataset:{'0' * 32}", json={"name": "x"})).status_code == 404
    assert (await api.post("/v1/datasets", json={"name": 1})).status_code == 400
    assert await pool.fetchval("SELECT count(*) FROM audit_event") == 1


async def test_what_cannot_be_recorded_is_not_done(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    await pool.execute(
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'admin_shutdown'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION refuse();
        """
    )
    assert (await api.post("/v1/datasets", json={})).status_code == 503
    assert (await api.post("/v1/datasets", json={}, headers={"Idempotency-Key": "k"})).status_code == 503
    assert (await api.post("/v1/assets", json={"content": "e30="})).status_code == 503
    assert await pool.fetchval("SELECT count(*) FROM dataset") == 0
    assert await pool.fetchval("SELECT count(*) FROM asset") == 0


async def test_a_repeated_request_has_one_event(api: httpx.AsyncClient) -> None:
    for _ in range(2):
        response = await api.post("/v1/datasets", json={}, headers={"Idempotency-Key": "once"})
        assert response.status_code == 200
    assert [event["action"] for event in await events(api)] == ["createDataset"]


async def test_a_bulk_deletion_tells_its_number(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    for _ in range(3):
        await seed_document(pool, organization.organization_id)
    await api.delete("/v1/documents")
    (event,) = await events(api)
    assert (event["action"], event["details"]) == ("deleteDocuments", {"numberOfDocuments": 3})


async def test_filters_and_pages(api: httpx.AsyncClient, organization: Tenant) -> None:
    dataset = (await api.post("/v1/datasets", json={})).json()["datasetId"]
    await api.patch(f"/v1/datasets/{dataset}", json={"name": "x"})
    await api.post("/v1/assets", json={"content": "e30="})
    every = await events(api)
    assert [event["action"] for event in every] == ["createDataset", "updateDataset", "createAsset"]
    assert await events(api, order="descending") == every[::-1]
    assert await events(api, resourceId=dataset) == every[:2]
    assert await events(api, action="createAsset") == every[2:]
    assert await events(api, principalId=organization.app_client_id) == every
    assert await events(api, principalId="las:user:none") == []
    assert await events(api, outcome="refused") == []
    assert await events(api, fromTime=every[1]["time"], toTime=every[2]["time"]) == every[1:2]
    seen, token = [], ""
    while token is not None:
        page = (await api.get(PATH, params={"maxResults": "2", "nextToken": token})).json()
        seen += page["auditEvents"]
        token = page["nextToken"]
    assert seen == every
    for query in ({"outcome": "lost"}, {"fromTime": "soon"}, {"nextToken": "foo"}):
        assert (await api.get(PATH, params=query)).status_code == 400


async def test_other_organizations_events_are_not_there(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient
) -> None:
    await other_api.post("/v1/datasets", json={})
    assert await events(api) == []
    assert len(await events(other_api)) == 1


@pytest.mark.parametrize("kind", ["user", "app-client"])
@pytest.mark.parametrize(("role_id", "status"), [(ADMIN, 200), (MEMBER, 403), (VALIDATOR, 403)])
async def test_only_admins_read_events(
    app: Litestar,
    settings: Settings,
    pool: asyncpg.Pool,
    organization: Tenant,
    kind: Any,
    role_id: Any,
    status: int,
) -> None:
    principal_id = await add_principal(pool, organization.organization_id, kind, [role_id])
    async with client_of(app, settings, organization, principal_id) as client:
        assert (await client.get(PATH)).status_code == status


async def test_refusals_are_counted_and_written_together(
    app: Litestar, settings: Settings, api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    principal_id = await add_principal(pool, organization.organization_id, "user", [VALIDATOR])
    async with client_of(app, settings, organization, principal_id) as client:
        answers = await asyncio.gather(
            *(client.post("/v1/datasets", json={}) for _ in range(5)),
            *(client.delete(f"/v1/documents/las:document:{index:032}") for index in range(3)),
        )
        await client.post("/v1/users", json={"email": "a@example.com"})
    assert {answer.status_code for answer in answers} == {403}
    assert await events(api) == []
    state: AppState = app.state.pagemill
    await state.refusals.write()
    refused = {event["action"]: event for event in await events(api, outcome="refused")}
    assert {action: event["details"] for action, event in refused.items()} == {
        "createDataset": {"numberOfRequests": 5},
        "deleteDocument": {"numberOfRequests": 3},
        "createUser": {},
    }
    assert {event["principalId"] for event in refused.values()} == {principal_id}
    assert refused["deleteDocument"]["resourceId"].startswith("las:document:")
    await state.refusals.write()
    assert len(await events(api, outcome="refused")) == 3


async def test_a_role_that_may_not_be_given_is_a_refusal(
    app: Litestar, settings: Settings, api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    """The guard has admitted the request; its handler refuses it."""
    principal_id = await add_principal(pool, organization.organization_id, "app-client", [ADMIN])
    await pool.execute(
        "UPDATE role SET permissions = permissions || $1::jsonb WHERE id = $2",
        [{"resourceId": "las:role:*", "action": "delegate", "effect": "deny"}],
        ADMIN,
    )
    async with client_of(app, settings, organization, principal_id) as client:
        assert (await client.post("/v1/appClients", json={"roleIds": [ADMIN]})).status_code == 403
    state: AppState = app.state.pagemill
    await state.refusals.write()
    assert [event["action"] for event in await events(api)] == ["createAppClient"]


async def test_strangers_leave_no_events(
    anonymous: httpx.AsyncClient, app: Litestar, pool: asyncpg.Pool
) -> None:
    for _ in range(3):
        await anonymous.get("/v1/documents", headers={"Authorization": "Bearer x.y.z"})
    state: AppState = app.state.pagemill
    await state.refusals.write()
    assert await pool.fetchval("SELECT count(*) FROM audit_event") == 0


async def test_events_are_only_added(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    await api.post("/v1/datasets", json={})
    for statement in ("UPDATE audit_event SET action = 'x'", "DELETE FROM audit_event"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)
    assert len(await events(api)) == 1


async def test_long_texts_of_strangers_are_cut(
    pool: asyncpg.Pool, api: httpx.AsyncClient, organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        await record(
            connection,
            AuditEvent(
                action="signIn", organization_id=organization.organization_id, resource_id="x" * 100_000
            ),
        )
    assert [len(event["resourceId"]) for event in await events(api)] == [512]
