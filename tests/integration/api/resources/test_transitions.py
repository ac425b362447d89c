"""Transitions through HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from pagemill.ids import WorkflowId, new_id
from tests.support.queries import statements_run
from tests.support.seeds import seed_asset, seed_secret, used
from tests.support.tenants import Tenant

DOCKER = {"imageUrl": "lucidtechai/preprocess:v2.3.0"}
LAMBDA = {"lambdaId": "las:lambda:name:1"}


async def create(api: httpx.AsyncClient, transition_type: str = "manual", **body: Any) -> dict[str, Any]:
    response = await api.post("/v1/transitions", json={"transitionType": transition_type, **body})
    assert response.status_code == 200, response.text
    return dict(response.json())


async def change(api: httpx.AsyncClient, transition: dict[str, Any], **body: Any) -> dict[str, Any]:
    response = await api.patch(f"/v1/transitions/{transition['transitionId']}", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_defaults(api: httpx.AsyncClient, organization: Tenant) -> None:
    transition = await create(api, name=None, description=None)
    assert transition == {
        "transitionId": transition["transitionId"],
        "transitionType": "manual",
        "name": None,
        "description": None,
        "parameters": {},
        "timeoutInSeconds": 10_800,
        "createdTime": transition["createdTime"],
        "createdBy": organization.app_client_id,
        "updatedTime": None,
        "updatedBy": None,
    }
    assert (await create(api, "docker", parameters=DOCKER))["timeoutInSeconds"] == 1800
    assert (await create(api, "lambda", parameters=LAMBDA))["timeoutInSeconds"] == 1800


async def test_docker_parameters_change_one_by_one(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    secrets = [await seed_secret(pool, organization.organization_id) for _ in range(2)]
    parameters = {
        **DOCKER,
        "cpu": 512,
        "memory": 8192,
        "environment": {"MODEL_ID": "las:model:x", "EMPTY": ""},
        "environmentSecrets": secrets,
        "secretId": secrets[0],
    }
    transition = await create(api, "docker", parameters=parameters, timeoutInSeconds=60, name="Read")
    assert transition["parameters"] == parameters
    assert (transition["timeoutInSeconds"], transition["name"]) == (60, "Read")
    assert "assets" not in transition

    changed = await change(api, transition, parameters={"environment": {"A": "b"}, "memory": 512})
    assert changed["parameters"] == {**parameters, "environment": {"A": "b"}, "memory": 512}
    assert changed["updatedBy"] == organization.app_client_id
    assert changed["updatedTime"] is not None
    cleared = await change(
        api,
        transition,
        parameters={"environment": None, "environmentSecrets": None, "secretId": None},
        name=None,
        description="of invoices",
    )
    assert cleared["parameters"] == {**DOCKER, "cpu": 512, "memory": 512}
    assert (cleared["name"], cleared["description"]) == (None, "of invoices")
    assert (await change(api, transition, parameters={}))["parameters"] == cleared["parameters"]
    image = {"imageUrl": "localhost:5000/other"}
    assert (await change(api, transition, parameters=image))["parameters"]["imageUrl"] == image["imageUrl"]
    path = f"/v1/transitions/{transition['transitionId']}"
    assert (await api.get(path)).json()["parameters"] == {"cpu": 512, "memory": 512, **image}


async def test_manual_and_lambda_parameters(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    assets = {
        "jsRemoteComponent": await seed_asset(pool, organization.organization_id),
        "formConfig": await seed_asset(pool, organization.organization_id),
    }
    manual = await create(api, parameters={"assets": assets})
    assert manual["parameters"] == {"assets": assets}
    assert manual["assets"] == assets
    fewer = {"formConfig": assets["formConfig"]}
    assert (await change(api, manual, parameters={"assets": fewer}))["assets"] == fewer

    function = await create(api, "lambda", parameters={**LAMBDA, "environment": {"A": "b"}})
    other = {"lambdaId": "las:lambda:name:2"}
    changed = await change(api, function, parameters={**other, "environment": None})
    assert changed["parameters"] == other


@pytest.mark.parametrize(
    ("transition_type", "parameters"), [("docker", DOCKER), ("lambda", LAMBDA), ("manual", {})]
)
async def test_parameters_can_be_set_later(
    api: httpx.AsyncClient, transition_type: str, parameters: dict[str, Any]
) -> None:
    transition = await create(api, transition_type)
    assert transition["parameters"] == {}
    path = f"/v1/transitions/{transition['transitionId']}"
    assert (await api.get(path)).json() == transition
    changed = await change(api, transition, parameters=parameters)
    assert changed["parameters"] == parameters == (await api.get(path)).json()["parameters"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "transitionType"),
        ({"transitionType": "none"}, "transitionType"),
        (
            {"transitionType": "docker", "parameters": {}},
            "parameters: Object missing required field `imageUrl`",
        ),
        ({"transitionType": "lambda", "parameters": {}}, "lambdaId"),
        ({"transitionType": "manual", "parameters": None}, "parameters"),
        ({"transitionType": "manual", "parameters": []}, "parameters"),
        ({"transitionType": "manual", "timeoutInSeconds": 59}, "timeoutInSeconds"),
        ({"transitionType": "manual", "timeoutInSeconds": 10_801}, "timeoutInSeconds"),
        ({"transitionType": "manual", "assets": {}}, "assets"),
        ({"transitionType": "manual", "name": "x" * 4097}, "name"),
    ],
)
async def test_bad_transitions_are_refused(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, body: dict[str, Any], named: str
) -> None:
    response = await api.post("/v1/transitions", json=body)
    assert response.status_code == 400
    assert named in response.json()["message"]
    assert await used(pool, organization.organization_id, "transitions") == 0


@pytest.mark.parametrize(
    ("transition_type", "parameters", "named"),
    [
        ("docker", {"imageUrl": "https://registry/image"}, "parameters.imageUrl"),
        ("docker", {"imageUrl": ""}, "parameters.imageUrl"),
        ("docker", {"imageUrl": "a" * 513}, "parameters.imageUrl"),
        ("docker", {"imageUrl": None}, "parameters.imageUrl"),
        ("docker", {"cpu": 128}, "parameters.cpu"),
        ("docker", {"cpu": "256"}, "parameters.cpu"),
        ("docker", {"memory": 256}, "parameters.memory"),
        ("docker", {"environment": {"A": 1}}, "parameters.environment[...]"),
        ("docker", {"environment": {"A=B": "c"}}, "parameters.environment"),
        ("docker", {"environment": {"A": "x" * 65_536}}, "parameters.environment"),
        ("docker", {"environmentSecrets": ["x"]}, "parameters.environmentSecrets[0]"),
        (
            "docker",
            {"environmentSecrets": [f"las:secret:{'0' * 32}"]},
            "environmentSecrets: secret",
        ),
        ("docker", {"secretId": f"las:secret:{'0' * 32}"}, "parameters.secretId: secret"),
        ("docker", {"assets": {}}, "assets"),
        ("lambda", {"lambdaId": "las:lambda:x"}, "parameters.lambdaId"),
        ("lambda", {"lambdaId": "las:lambda:x:1\n"}, "parameters.lambdaId"),
        ("lambda", {"imageUrl": "python"}, "imageUrl"),
        ("manual", {"assets": None}, "parameters.assets"),
        ("manual", {"assets": {"a": "b"}}, "parameters.assets[...]"),
        ("manual", {"assets": {"form": f"las:asset:{'0' * 32}"}}, "parameters.assets.form: asset"),
        ("manual", {"environment": {}}, "environment"),
    ],
)
async def test_bad_parameters_are_named(
    api: httpx.AsyncClient, transition_type: str, parameters: dict[str, Any], named: str
) -> None:
    good = {"docker": DOCKER, "lambda": LAMBDA, "manual": {}}[transition_type]
    transition = await create(api, transition_type, parameters=good)
    path = f"/v1/transitions/{transition['transitionId']}"
    for response in (
        await api.post(
            "/v1/transitions", json={"transitionType": transition_type, "parameters": {**good, **parameters}}
        ),
        await api.patch(path, json={"parameters": parameters}),
    ):
        assert response.status_code == 400
        assert named in response.json()["message"]
    assert (await api.get("/v1/transitions")).json()["transitions"] == [transition]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"environment": {}},
        {"environmentSecrets": []},
        {"assets": {}},
        {"transitionType": "docker"},
        {"timeoutInSeconds": 60},
        {"parameters": None},
    ],
)
async def test_members_that_cannot_be_changed_are_refused(
    api: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    transition = await create(api)
    response = await api.patch(f"/v1/transitions/{transition['transitionId']}", json=body)
    assert response.status_code == 400


async def test_foreign_secrets_and_assets_are_answered_like_unknown_ones(
    api: httpx.AsyncClient, pool: asyncpg.Pool, other_organization: Tenant
) -> None:
    secret_id = await seed_secret(pool, other_organization.organization_id)
    asset_id = await seed_asset(pool, other_organization.organization_id)
    for body in (
        {"transitionType": "docker", "parameters": {**DOCKER, "secretId": secret_id}},
        {"transitionType": "manual", "parameters": {"assets": {"form": asset_id}}},
    ):
        response = await api.post("/v1/transitions", json=body)
        assert response.status_code == 400
        assert "does not exist" in response.json()["message"]


async def test_list_is_filtered_and_paged(api: httpx.AsyncClient) -> None:
    manual = [(await create(api))["transitionId"] for _ in range(3)]
    docker = (await create(api, "docker", parameters=DOCKER))["transitionId"]
    function = (await create(api, "lambda", parameters=LAMBDA))["transitionId"]

    async def listed(**query: Any) -> tuple[list[str], dict[str, Any]]:
        response = (await api.get("/v1/transitions", params=query)).json()
        return [one["transitionId"] for one in response.pop("transitions")], response

    assert await listed() == ([*manual, docker, function], {"nextToken": None})
    ids, rest = await listed(transitionType=["docker", "lambda"])
    assert (ids, rest["transitionType"]) == ([docker, function], ["docker", "lambda"])
    first, rest = await listed(transitionType="manual", maxResults="2")
    second, last = await listed(transitionType="manual", nextToken=rest["nextToken"])
    assert (first, second, last["nextToken"]) == (manual[:2], manual[2:], None)
    assert rest["transitionType"] == ["manual"]
    assert (await api.get("/v1/transitions", params={"transitionType": "x"})).status_code == 400
    with statements_run() as run:
        await listed()
    assert run.count("transitions.list_transitions") == 1
    assert len([name for name in run if name.startswith("transitions.")]) == 1


async def test_limit_and_counter(
    limited_api: httpx.AsyncClient, pool: asyncpg.Pool, limited_organization: Tenant
) -> None:
    transition_id = (await create(limited_api))["transitionId"]
    refused = await limited_api.post("/v1/transitions", json={"transitionType": "manual"})
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")
    answers = await asyncio.gather(*(limited_api.delete(f"/v1/transitions/{transition_id}") for _ in "abc"))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404]
    assert await used(pool, limited_organization.organization_id, "transitions") == 0
    await create(limited_api)


async def test_a_transition_in_use_cannot_be_deleted(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    transition_id = (await create(api))["transitionId"]
    definition = {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": transition_id, "End": True}}}
    workflow_ids = []
    for tenant in (organization, other_organization):
        workflow_ids.append(new_id(WorkflowId))
        await pool.execute(
            "INSERT INTO workflow (organization_id, id, definition) VALUES ($1, $2, $3)",
            tenant.organization_id,
            workflow_ids[-1],
            definition,
        )
    refused = await api.delete(f"/v1/transitions/{transition_id}")
    assert refused.status_code == 400
    assert workflow_ids[0] in refused.json()["message"]
    await pool.execute("DELETE FROM workflow WHERE id = $1", workflow_ids[0])
    assert (await api.delete(f"/v1/transitions/{transition_id}")).json()["transitionId"] == transition_id
