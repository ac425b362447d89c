"""Credentials of a container are good for its own execution, and end with it."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from db.containers import delete_container_credentials, insert_container_credential
from pagemill.client_credentials import hash_secret
from pagemill.ids import SubjectId
from tests.support.flows import create_transition, create_workflow, ok, start, task
from tests.support.tenants import Tenant

SECRET = "s" * 64


@pytest.fixture
async def step(api: httpx.AsyncClient) -> dict[str, Any]:
    """An execution of a docker transition."""
    transition_id = await create_transition(api, "docker")
    return await ok(await api.post(f"/v1/transitions/{transition_id}/executions", json={"input": {"a": 1}}))


@pytest.fixture
async def container(
    anonymous: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, step: dict[str, Any]
) -> httpx.AsyncClient:
    """A client with a token as the container of the step gets it."""
    async with pool.acquire() as connection:
        await insert_container_credential(
            connection,
            organization_id=organization.organization_id,
            client_id="container",
            subject_id=SubjectId(step["executionId"]),
            secret_hash=hash_secret(SECRET),
            permissions=[
                {"resourceId": step["executionId"], "action": action, "effect": "allow"}
                for action in ("read", "write")
            ],
        )
    response = await get_token(anonymous)
    anonymous.headers["Authorization"] = f"Bearer {(await ok(response))['access_token']}"
    return anonymous


async def get_token(client: httpx.AsyncClient, secret: str = SECRET) -> httpx.Response:
    return await client.post("/token?grant_type=client_credentials", auth=("container", secret))


def path_of(step: dict[str, Any]) -> str:
    return f"/v1/transitions/{step['transitionId']}/executions/{step['executionId']}"


async def test_it_reads_its_input_sends_heartbeats_and_reports(
    container: httpx.AsyncClient, step: dict[str, Any]
) -> None:
    assert (await ok(await container.get(path_of(step))))["input"] == {"a": 1}
    assert (await container.post(f"{path_of(step)}/heartbeats", json={})).status_code == 204
    reported = await container.patch(path_of(step), json={"status": "succeeded", "output": {"b": 2}})

    assert (await ok(reported))["completedBy"] == step["executionId"]


async def test_everything_else_is_forbidden(
    api: httpx.AsyncClient, container: httpx.AsyncClient, step: dict[str, Any]
) -> None:
    transition = f"/v1/transitions/{step['transitionId']}"
    neighbour = await ok(await api.post(f"{transition}/executions", json={}))
    workflow_id = await create_workflow(api, {"A": task(step["transitionId"])})
    execution = await start(api, workflow_id)
    refused = [
        await container.get(path_of(neighbour)),
        await container.patch(path_of(neighbour), json={"status": "failed"}),
        await container.post(f"{path_of(neighbour)}/heartbeats", json={}),
        await container.get(transition),
        await container.patch(transition, json={"name": "mine"}),
        await container.get(f"{transition}/executions"),
        await container.post(f"{transition}/executions", json={}),
        await container.get(f"/v1/workflows/{workflow_id}/executions/{execution['executionId']}"),
        await container.get(f"/v1/logs/{step['logId']}"),
        await container.get("/v1/secrets"),
        await container.post("/v1/documents", json={}),
        await container.get("/v1/organizations/me"),
        await container.get("/v1/appClients"),
        await container.get("/v1/profiles/me"),
    ]

    assert [response.status_code for response in refused] == [403] * len(refused)


async def test_a_wrong_secret_is_refused(anonymous: httpx.AsyncClient, container: httpx.AsyncClient) -> None:
    response = await get_token(anonymous, "x" * 64)

    assert (response.status_code, response.json()) == (
        400,
        {"error": "invalid_client", "message": "invalid_client"},
    )


async def test_they_end_with_the_container(
    anonymous: httpx.AsyncClient,
    container: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    step: dict[str, Any],
) -> None:
    async with pool.acquire() as connection:
        await delete_container_credentials(
            connection,
            organization_id=organization.organization_id,
            subject_id=SubjectId(step["executionId"]),
        )

    assert (await container.get(path_of(step))).status_code == 403
    assert (await get_token(anonymous)).status_code == 400
