"""Deployment environments through HTTP, and trainings that are deployed to them."""

from __future__ import annotations

from urllib.parse import quote

import asyncpg
import httpx
import pytest

from db.deployment_environments import DeploymentEnvironmentStatus, insert_deployment_environment
from pagemill.ids import DeploymentEnvironmentId, OrganizationId
from tests.support.queries import statements_run
from tests.support.seeds import seed_training
from tests.support.tenants import Tenant

PATH = "/v1/deploymentEnvironments"
KIND = "las:deployment-environment"


async def add(
    pool: asyncpg.Pool,
    slug: str,
    *,
    owner: OrganizationId | None = None,
    status: DeploymentEnvironmentStatus = "available",
) -> DeploymentEnvironmentId:
    identifier = DeploymentEnvironmentId(f"{KIND}:{slug}")
    async with pool.acquire() as connection:
        await insert_deployment_environment(
            connection,
            environment_id=identifier,
            owner=owner,
            name=slug,
            description=None,
            units=2,
            status=status,
        )
    return identifier


async def listed(api: httpx.AsyncClient, **query: object) -> list[str]:
    answer = await api.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"deploymentEnvironments", "nextToken"}
    return [one["deploymentEnvironmentId"] for one in answer.json()["deploymentEnvironments"]]


async def test_shown(api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant) -> None:
    everybodys = await add(pool, "everybodys")
    own = await add(pool, "own", owner=organization.organization_id, status="unavailable")
    expected = [
        {
            "deploymentEnvironmentId": everybodys,
            "name": "everybodys",
            "description": None,
            "organizationId": None,
            "modelDeploymentUnits": 2,
            "status": "available",
        },
        {
            "deploymentEnvironmentId": own,
            "name": "own",
            "description": None,
            "organizationId": organization.organization_id,
            "modelDeploymentUnits": 2,
            "status": "unavailable",
        },
    ]
    assert (await api.get(PATH)).json() == {"deploymentEnvironments": expected, "nextToken": None}
    assert [(await api.get(f"{PATH}/{one}")).json() for one in (everybodys, own)] == expected


async def test_foreign_ids_are_answered_like_unknown_ones(
    api: httpx.AsyncClient, pool: asyncpg.Pool, other_organization: Tenant
) -> None:
    theirs = await add(pool, "theirs", owner=other_organization.organization_id)
    for identifier in (
        theirs,
        f"{theirs}:@latest",
        f"{other_organization.organization_id}/{theirs}",
        f"{KIND}:unknown",
        "theirs",
    ):
        for path in (identifier, quote(identifier, safe="")):
            refused = await api.get(f"{PATH}/{path}")
            assert refused.status_code == 404
            assert refused.json() == {"message": f"DeploymentEnvironment {identifier} not found"}
    assert await listed(api) == []
    assert await listed(api, owner=other_organization.organization_id) == []


async def test_forms_of_an_id(api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant) -> None:
    own = await add(pool, "own_1", owner=organization.organization_id)
    await add(pool, "own-1")
    prefixed = f"{organization.organization_id}/{own}"
    for name in (own, f"{own}:@latest", prefixed, f"{prefixed}:@latest"):
        for path in (name, quote(name, safe="")):
            assert (await api.get(f"{PATH}/{path}")).json()["deploymentEnvironmentId"] == own
    for name in (f"{own}:1", f"{own}:@other", f"las:organization:other/{own}", f"{own}:", f"{own}:@latest:1"):
        assert (await api.get(f"{PATH}/{quote(name, safe='')}")).status_code == 404


async def test_versions(api: httpx.AsyncClient, pool: asyncpg.Pool, other_organization: Tenant) -> None:
    versions = [await add(pool, f"eu:{number}") for number in (2, 9, 10)]
    await add(pool, "eu:@beta")
    await add(pool, "eu:11", owner=other_organization.organization_id)
    await add(pool, "eu-2:12")
    for name, found in [
        (f"{KIND}:eu", versions[-1]),
        (f"{KIND}:eu:@latest", versions[-1]),
        (f"{KIND}:eu:9", versions[1]),
        (f"{KIND}:eu:@beta", f"{KIND}:eu:@beta"),
    ]:
        assert (await api.get(f"{PATH}/{name}")).json()["deploymentEnvironmentId"] == found
    assert (await api.get(f"{PATH}/{KIND}:eu:11")).status_code == 404


async def test_filter_by_owner(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    everybodys = await add(pool, "everybodys")
    own = await add(pool, "own", owner=organization.organization_id)
    await add(pool, "theirs", owner=other_organization.organization_id)
    assert await listed(api) == [everybodys, own]
    for owner in ("me", organization.organization_id, ["me", other_organization.organization_id]):
        assert await listed(api, owner=owner) == [own]
    assert await listed(api, owner="las:organization:other") == []


async def test_paging(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    ids = [await add(pool, slug) for slug in "edcba"]
    seen: list[str] = []
    token: str | None = ""
    while token is not None:
        page = (await api.get(PATH, params={"maxResults": "2", "nextToken": token})).json()
        seen += [one["deploymentEnvironmentId"] for one in page["deploymentEnvironments"]]
        token = page["nextToken"]
    assert seen == ids
    assert (await api.get(PATH, params={"nextToken": "foo"})).status_code == 400
    with statements_run() as names:
        await api.get(PATH)
    assert names[1:] == ["deployment_environments.list_deployment_environments"]


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
async def test_deployment_environments_are_read_only(
    api: httpx.AsyncClient, pool: asyncpg.Pool, method: str
) -> None:
    path = PATH if method == "POST" else f"{PATH}/{await add(pool, 'own')}"
    assert (await api.request(method, path, json={"name": "x"})).status_code == 405


async def test_a_training_is_deployed_and_undeployed(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    model = (await api.post("/v1/models", json={"fieldConfig": {"total": {"type": "amount"}}})).json()
    training_id = await seed_training(pool, organization.organization_id, model["modelId"])
    path = f"/v1/models/{model['modelId']}/trainings/{training_id}"
    own = await add(pool, "own", owner=organization.organization_id)
    theirs = await add(pool, "theirs", owner=other_organization.organization_id)
    closed = await add(pool, "closed", status="unavailable")
    for reference in (own, f"{own}:@latest", f"{organization.organization_id}/{own}"):
        deployed = (await api.patch(path, json={"deploymentEnvironmentId": reference})).json()
        assert deployed["deploymentEnvironmentId"] == own
    for reference in (theirs, closed, f"{KIND}:unknown", f"{own}\n"):
        refused = await api.patch(path, json={"deploymentEnvironmentId": reference, "name": "changed"})
        assert refused.status_code == 400
        assert "deploymentEnvironmentId" in refused.json()["message"]
    assert (await api.patch(path, json={"name": "renamed"})).json()["deploymentEnvironmentId"] == own
    cleared = (await api.patch(path, json={"deploymentEnvironmentId": None})).json()
    assert (cleared["deploymentEnvironmentId"], cleared["name"]) == (None, "renamed")
    assert (await api.get(path)).json() == cleared
