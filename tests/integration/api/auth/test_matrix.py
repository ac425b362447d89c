"""Every operation for every role, about one's own resource, another organization's and one that nobody has.

The operations are the application's own: one that is new fails until it has a line in ``MAY``, which says who
may call it. ``seed_everything`` makes a resource of every kind in both organizations. Every operation that
may change something is called with a valid body.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import asyncpg
import httpx
import pytest
from litestar import Litestar

from pagemill.api.auth.scopes import SCOPES
from pagemill.api.auth.seeded_roles import ADMIN, MEMBER, VALIDATOR
from pagemill.objects import ObjectStore
from pagemill.settings import Settings
from pagemill.stack.bootstrap import PLAN_SLUG
from tests.integration.api.auth.test_tenants import NAMED, places, with_member
from tests.integration.api.conftest import client_of
from tests.integration.api.resources.test_organizations import add_plan
from tests.support.everything import body_of, fill, rows_of, seed_everything, unknown
from tests.support.operations import operations
from tests.support.people import PrincipalKind, add_principal
from tests.support.tenants import Tenant

MAY: dict[str, str] = {
    "POST /appClients": "a",
    "GET /appClients": "am",
    "DELETE /appClients/{appClientId}": "a",
    "PATCH /appClients/{appClientId}": "a",
    "GET /appClients/{appClientId}": "am",
    "POST /appClients/{appClientId}/secret": "a",
    "GET /assets": "amv",
    "POST /assets": "am",
    "PATCH /assets/{assetId}": "am",
    "DELETE /assets/{assetId}": "am",
    "GET /assets/{assetId}": "amv",
    "GET /auditEvents": "a",
    "GET /datasets": "amv",
    "POST /datasets": "am",
    "DELETE /datasets/{datasetId}": "am",
    "PATCH /datasets/{datasetId}": "am",
    "GET /datasets/{owner}/{datasetId}": "amv",
    "GET /datasets/{datasetId}": "amv",
    "POST /datasets/{datasetId}/transformations": "am",
    "GET /datasets/{datasetId}/transformations": "am",
    "DELETE /datasets/{datasetId}/transformations/{transformationId}": "am",
    "GET /deploymentEnvironments": "am",
    "GET /deploymentEnvironments/{deploymentEnvironmentId}": "am",
    "GET /deploymentEnvironments/{ownerId}/{deploymentEnvironmentId}": "am",
    "GET /documents": "amv",
    "DELETE /documents": "am",
    "POST /documents": "am",
    "DELETE /documents/{documentId}": "am",
    "GET /documents/{documentId}": "amv",
    "PATCH /documents/{documentId}": "am",
    "GET /files/{documentId}": "amv",
    "PUT /files/{documentId}": "am",
    "GET /logs": "amv",
    "GET /logs/{logId}": "amv",
    "GET /models": "amv",
    "POST /models": "am",
    "GET /models/{modelId}": "amv",
    "PATCH /models/{modelId}": "am",
    "DELETE /models/{modelId}": "am",
    "POST /models/{modelId}/dataBundles": "am",
    "GET /models/{modelId}/dataBundles": "am",
    "GET /models/{modelId}/dataBundles/{dataBundleId}": "am",
    "DELETE /models/{modelId}/dataBundles/{dataBundleId}": "am",
    "PATCH /models/{modelId}/dataBundles/{dataBundleId}": "am",
    "GET /models/{modelId}/trainings": "am",
    "POST /models/{modelId}/trainings": "am",
    "PATCH /models/{modelId}/trainings/{trainingId}": "am",
    "GET /models/{modelId}/trainings/{trainingId}": "am",
    "GET /models/{owner}/{modelId}": "amv",
    "PATCH /models/{owner}/{modelId}": "am",
    "DELETE /models/{owner}/{modelId}": "am",
    "POST /models/{owner}/{modelId}/dataBundles": "am",
    "GET /models/{owner}/{modelId}/dataBundles": "am",
    "GET /models/{owner}/{modelId}/dataBundles/{dataBundleId}": "am",
    "DELETE /models/{owner}/{modelId}/dataBundles/{dataBundleId}": "am",
    "PATCH /models/{owner}/{modelId}/dataBundles/{dataBundleId}": "am",
    "GET /models/{owner}/{modelId}/trainings": "am",
    "POST /models/{owner}/{modelId}/trainings": "am",
    "PATCH /models/{owner}/{modelId}/trainings/{trainingId}": "am",
    "GET /models/{owner}/{modelId}/trainings/{trainingId}": "am",
    "GET /organizations": "amv",
    "POST /organizations": "a",
    "GET /organizations/{organizationId}": "amv",
    "PATCH /organizations/{organizationId}": "a",
    "GET /paymentMethods": "am",
    "POST /paymentMethods": "a",
    "GET /paymentMethods/{paymentMethodId}": "am",
    "DELETE /paymentMethods/{paymentMethodId}": "a",
    "PATCH /paymentMethods/{paymentMethodId}": "a",
    "GET /plans": "am",
    "GET /plans/{ownerId}/{planId}": "am",
    "GET /plans/{planId}": "am",
    "GET /predictions": "amv",
    "POST /predictions": "am",
    "GET /predictions/{predictionId}": "amv",
    "PATCH /profiles/{profileId}": "amv",
    "GET /profiles/{profileId}": "amv",
    "GET /roles": "amv",
    "GET /roles/{roleId}": "amv",
    "POST /secrets": "am",
    "GET /secrets": "am",
    "DELETE /secrets/{secretId}": "am",
    "PATCH /secrets/{secretId}": "am",
    "POST /transitions": "am",
    "GET /transitions": "amv",
    "DELETE /transitions/{transitionId}": "am",
    "GET /transitions/{transitionId}": "amv",
    "PATCH /transitions/{transitionId}": "am",
    "POST /transitions/{transitionId}/executions": "amv",
    "GET /transitions/{transitionId}/executions": "amv",
    "PATCH /transitions/{transitionId}/executions/{executionId}": "amv",
    "GET /transitions/{transitionId}/executions/{executionId}": "amv",
    "POST /transitions/{transitionId}/executions/{executionId}/claim": "amv",
    "POST /transitions/{transitionId}/executions/{executionId}/defer": "amv",
    "POST /transitions/{transitionId}/executions/{executionId}/heartbeats": "amv",
    "POST /transitions/{transitionId}/executions/{executionId}/release": "amv",
    "POST /users": "a",
    "GET /users": "amv",
    "PATCH /users/{userId}": "a",
    "DELETE /users/{userId}": "a",
    "GET /users/{userId}": "amv",
    "POST /webhooks": "a",
    "GET /webhooks": "am",
    "PATCH /webhooks/{webhookId}": "a",
    "GET /webhooks/{webhookId}": "am",
    "DELETE /webhooks/{webhookId}": "a",
    "GET /webhooks/{webhookId}/attempts": "am",
    "POST /workflows": "am",
    "GET /workflows": "amv",
    "DELETE /workflows/{workflowId}": "am",
    "GET /workflows/{workflowId}": "amv",
    "PATCH /workflows/{workflowId}": "am",
    "GET /workflows/{workflowId}/executions": "amv",
    "POST /workflows/{workflowId}/executions": "am",
    "DELETE /workflows/{workflowId}/executions/{executionId}": "am",
    "GET /workflows/{workflowId}/executions/{executionId}": "amv",
    "PATCH /workflows/{workflowId}/executions/{executionId}": "am",
}
"""Who may call an operation: a(dmins), m(embers), v(alidators). Without roles one may what admins may."""

LETTERS = {ADMIN: "a", MEMBER: "m", VALIDATOR: "v"}
CALLERS: list[tuple[PrincipalKind, str | None]] = [
    ("user", None),
    ("user", ADMIN),
    ("user", MEMBER),
    ("user", VALIDATOR),
    ("app-client", None),
    ("app-client", MEMBER),
    ("app-client", VALIDATOR),
]

OF_USERS = {"POST /organizations"}
"""Operations that an app client may not call, whatever its role."""
OF_OWNER = {"PATCH /profiles/{profileId}"}
"""Operations about the person who calls: with another id everybody is refused."""
OF_ALL = {"GET /roles/{roleId}"}
"""Operations about what is the same for all organizations."""
UNLESS_GONE = {"POST /transitions/{transitionId}/executions"}
"""Operations that find nothing any more when others have been called before."""
WITH_CONTENT = {"PUT /files/{documentId}"}
FORBIDDEN = (403, {"message": "Forbidden"})

Ids = Mapping[str, str]


def test_every_operation_has_a_line(routes: Litestar) -> None:
    assert sorted(set(operations(routes))) == sorted(MAY)


@pytest.fixture
async def mine(pool: asyncpg.Pool, organization: Tenant, objects: ObjectStore) -> dict[str, str]:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"%PDF-1.7"

    await objects.put("none", pieces())
    await add_plan(pool, PLAN_SLUG.rsplit(":", 1)[-1], 1)
    return await seed_everything(pool, organization) | {"roleId": VALIDATOR}


@pytest.fixture
async def theirs(pool: asyncpg.Pool, other_organization: Tenant) -> dict[str, str]:
    return await seed_everything(pool, other_organization) | {"roleId": "las:role:unknown"}


def may(operation: str, kind: PrincipalKind, role_id: str | None) -> bool:
    if operation in OF_USERS and kind == "app-client":
        return False
    return LETTERS.get(role_id or ADMIN, "") in MAY[operation]


def in_order(names: Mapping[str, str]) -> list[str]:
    """Operations so that what deletes comes last, and what is below another resource first.

    Very last is the app client through which the user has signed in, which signs the user out.
    """
    return sorted(
        names,
        key=lambda name: (
            name == "DELETE /appClients/{appClientId}",
            name.startswith("DELETE"),
            -name.count("/"),
            name,
        ),
    )


async def call(
    client: httpx.AsyncClient, operation: str, paths: Ids, bodies: Ids, body: Any = None
) -> tuple[int, dict[str, Any] | None]:
    """The answer to a call with a body, or else with the operation's valid one."""
    method, path = operation.split(" ")
    filled = f"/v1{fill(path, paths)}"
    if operation in WITH_CONTENT:
        response = await client.request(method, filled, content=b"%PDF-1.7")
    else:
        body = body_of(method, path, bodies) if body is None else body
        response = await client.request(method, filled, **({} if body is None else {"json": body}))
    is_json = response.headers.get("content-type") == "application/json"
    return response.status_code, response.json() if is_json and response.content else None


@pytest.mark.parametrize(("kind", "role_id"), CALLERS)
async def test_own_resources(
    app: Litestar,
    settings: Settings,
    pool: asyncpg.Pool,
    organization: Tenant,
    mine: Ids,
    kind: PrincipalKind,
    role_id: str | None,
) -> None:
    """Who may gets an answer that is no refusal, whoever may not gets the one refusal there is."""
    role_ids = [] if role_id is None else [role_id]
    principal_id = await add_principal(pool, organization.organization_id, kind, role_ids)
    own = dict(mine) | ({"profileId": "me"} if kind == "user" else {})
    wrong: list[tuple[str, Any]] = []
    async with client_of(app, settings, organization, principal_id) as client:
        for operation in in_order(MAY):
            answer = await call(client, operation, own, mine)
            if not may(operation, kind, role_id) or (operation in OF_OWNER and kind == "app-client"):
                expected = answer == FORBIDDEN
            else:
                gone = operation in UNLESS_GONE or operation.startswith("DELETE")
                expected = answer[0] in (200, 204, 400, 429) or (gone and answer[0] == 404)
            if not expected:
                wrong.append((operation, answer))
    assert wrong == []


@pytest.mark.parametrize(("kind", "role_id"), CALLERS)
async def test_foreign_resources(
    app: Litestar,
    settings: Settings,
    pool: asyncpg.Pool,
    organization: Tenant,
    mine: Ids,
    theirs: Ids,
    kind: PrincipalKind,
    role_id: str | None,
) -> None:
    """What is foreign is unknown to who may, and refused like everything to who may not; nothing changes."""
    role_ids = [] if role_id is None else [role_id]
    principal_id = await add_principal(pool, organization.organization_id, kind, role_ids)
    before = await rows_of(pool, theirs["organizationId"])
    nobodys = {name: unknown(identifier) for name, identifier in theirs.items()}
    wrong: list[tuple[str, Any]] = []
    async with client_of(app, settings, organization, principal_id) as client:
        for operation in in_order(MAY):
            if "{" not in operation or operation in OF_ALL:
                continue
            answers = [await call(client, operation, ids, mine) for ids in (theirs, nobodys)]
            refused = not may(operation, kind, role_id) or operation in OF_OWNER
            expected = [403, 403] if refused else [404, 404]
            if [answer[0] for answer in answers] != expected:
                wrong.append((operation, answers))
        for operation, body, unknown_body in named_in_bodies(mine, theirs, nobodys):
            answers = [await call(client, operation, mine, mine, one) for one in (body, unknown_body)]
            statuses = {answer[0] for answer in answers}
            expected_statuses = ({400}, {404}) if may(operation, kind, role_id) else ({403},)
            if statuses not in expected_statuses:
                wrong.append((operation, answers))
    assert wrong == []
    assert await rows_of(pool, theirs["organizationId"]) == before


def named_in_bodies(mine: Ids, theirs: Ids, nobodys: Ids) -> Iterator[tuple[str, Any, Any]]:
    """Operations with two bodies: one has another organization's id in it, the other one that nobody has."""
    for operation, members in NAMED.items():
        base = body_of(*operation.split(" "), mine) or {}
        for place, named in places(members):
            body, unknown_body = (with_member(base, members, place, ids[named]) for ids in (theirs, nobodys))
            yield operation, body, unknown_body


@pytest.mark.parametrize("scopes", ["read", "write"])
async def test_scopes_narrow_further(
    app: Litestar,
    settings: Settings,
    anonymous: httpx.AsyncClient,
    organization: Tenant,
    mine: Ids,
    scopes: str,
) -> None:
    """A token for all that reads changes nothing, and one for all that writes reads nothing."""
    names = " ".join(sorted(name for name in SCOPES if name.endswith(f":{scopes}")))
    token = await anonymous.post(
        "/oauth2/token",
        params={"grant_type": "client_credentials", "scope": names},
        auth=(organization.client_id, organization.client_secret),
    )
    headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
    async with client_of(app, settings, None) as client:
        client.headers.update(headers)
        for operation in in_order(MAY):
            reads = operation.startswith("GET")
            answer = await call(client, operation, mine, mine)
            if reads is not (scopes == "read"):
                assert answer == FORBIDDEN, operation
            elif operation not in OF_USERS | OF_OWNER:
                assert answer[0] != 403, operation
