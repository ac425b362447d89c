"""Workflows through HTTP."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import asyncpg
import httpx
import pytest

from pagemill.ids import TransitionId, WorkflowExecutionId, new_id
from tests.support.queries import statements_run
from tests.support.seeds import seed_secret, used
from tests.support.tenants import Tenant

NOTHING = {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}


async def transition(api: httpx.AsyncClient, transition_type: str = "manual", **body: Any) -> str:
    response = await api.post("/v1/transitions", json={"transitionType": transition_type, **body})
    assert response.status_code == 200, response.text
    return str(response.json()["transitionId"])


def one_task(transition_id: str) -> dict[str, Any]:
    return {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": transition_id, "End": True}}}


async def create(
    api: httpx.AsyncClient, definition: dict[str, Any] | None = None, **body: Any
) -> dict[str, Any]:
    specification = {"definition": definition or NOTHING, "language": "ASL", "version": "1.0.0"}
    response = await api.post("/v1/workflows", json={"specification": specification, **body})
    assert response.status_code == 200, response.text
    return dict(response.json())


async def run(pool: asyncpg.Pool, tenant: Tenant, workflow_id: str, status: str = "running") -> str:
    """Add an execution without steps and return its id."""
    execution_id = new_id(WorkflowExecutionId)
    await pool.execute(
        "INSERT INTO workflow_execution (organization_id, id, workflow_id, status) VALUES ($1, $2, $3, $4)",
        tenant.organization_id,
        execution_id,
        workflow_id,
        status,
    )
    return execution_id


async def test_defaults(api: httpx.AsyncClient, organization: Tenant) -> None:
    workflow = await create(api, one_task(await transition(api)), name=None, description=None)
    assert workflow == {
        "workflowId": workflow["workflowId"],
        "name": None,
        "description": None,
        "metadata": None,
        "status": "development",
        "completedConfig": None,
        "errorConfig": None,
        "emailConfig": None,
        "numberOfRunningExecutions": 0,
        "monthlyNumberOfWorkflowExecutionsCreated": 0,
        "monthlyNumberOfWorkflowExecutionsAllowed": 100,
        "createdTime": workflow["createdTime"],
        "createdBy": organization.app_client_id,
        "updatedTime": None,
        "updatedBy": None,
    }
    assert (await api.get(f"/v1/workflows/{workflow['workflowId']}")).json() == workflow


async def test_members_are_returned_and_updated(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    secret_id = await seed_secret(pool, organization.organization_id)
    body = {
        "name": "Invoices",
        "description": "of 2024",
        "metadata": {"a": 1},
        "status": "production",
        "errorConfig": {"email": "ops@example.com", "manualRetry": True},
        "completedConfig": {
            "imageUrl": "lucidtechai/report:v1",
            "secretId": secret_id,
            "environment": {"A": "b"},
            "environmentSecrets": [secret_id],
        },
    }
    workflow = await create(api, **body)
    assert {name: workflow[name] for name in body} == body
    assert workflow["monthlyNumberOfWorkflowExecutionsAllowed"] == 2_000_000_000
    path = f"/v1/workflows/{workflow['workflowId']}"
    changes = {
        "name": None,
        "description": None,
        "metadata": {},
        "status": "development",
        "errorConfig": {},
        "completedConfig": {"imageUrl": "python"},
    }
    changed = (await api.patch(path, json=changes)).json()
    assert changed == {
        **workflow,
        **changes,
        "monthlyNumberOfWorkflowExecutionsAllowed": 100,
        "updatedTime": changed["updatedTime"],
        "updatedBy": organization.app_client_id,
    }
    assert (await api.get(path)).json() == changed


async def test_the_server_chooses_the_mail_address(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    secret_id = await seed_secret(pool, organization.organization_id)
    sent = {
        "secretId": secret_id,
        "allowedOrigins": [r".*@example\.com"],
        "additionalWorkflowInput": {"title": "Mail"},
        "email": "mine@example.com",
    }
    workflow = await create(api, emailConfig=sent)
    address = workflow["emailConfig"]["email"]
    assert workflow["emailConfig"] == {**sent, "email": address}
    assert re.fullmatch(r"[0-9a-f]{32}@localhost\.localdomain", address)
    path = f"/v1/workflows/{workflow['workflowId']}"
    changed = (await api.patch(path, json={"emailConfig": {"secretId": secret_id}})).json()
    assert changed["emailConfig"] == {"secretId": secret_id, "email": address}
    assert (await api.patch(path, json={"name": "x"})).json()["emailConfig"] == changed["emailConfig"]
    assert (await api.patch(path, json={"emailConfig": None})).json()["emailConfig"] is None
    again = (await api.patch(path, json={"emailConfig": {"secretId": secret_id}})).json()["emailConfig"]
    assert again["email"] != address
    assert (await create(api, emailConfig={"secretId": secret_id}))["emailConfig"]["email"] != address


UNKNOWN_SECRET = f"las:secret:{'0' * 32}"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"size": 1}, "size"),
        ({"name": 1}, "name"),
        ({"metadata": {"a": "x" * 4096}}, "metadata"),
        ({"status": "testing"}, "status"),
        ({"errorConfig": None}, "errorConfig"),
        ({"errorConfig": {"email": "x"}}, "errorConfig.email"),
        ({"errorConfig": {"email": "a@example.com\n"}}, "errorConfig.email"),
        ({"errorConfig": {"email": "a@" + "." * 250}}, "errorConfig.email"),
        ({"errorConfig": {"manualRetry": 1}}, "errorConfig.manualRetry"),
        ({"completedConfig": None}, "completedConfig"),
        ({"completedConfig": {}}, "imageUrl"),
        ({"completedConfig": {"imageUrl": "https://x"}}, "completedConfig.imageUrl"),
        ({"completedConfig": {"imageUrl": "x", "cpu": 256}}, "completedConfig"),
        ({"completedConfig": {"imageUrl": "x", "environment": {"": "y"}}}, "completedConfig.environment"),
        ({"completedConfig": {"imageUrl": "x", "secretId": UNKNOWN_SECRET}}, "completedConfig.secretId"),
        (
            {"completedConfig": {"imageUrl": "x", "environmentSecrets": [UNKNOWN_SECRET]}},
            "completedConfig.environmentSecrets",
        ),
        ({"emailConfig": {}}, "secretId"),
        ({"emailConfig": {"secretId": UNKNOWN_SECRET}}, "emailConfig.secretId"),
        (
            {"emailConfig": {"secretId": UNKNOWN_SECRET, "allowedOrigins": ["a", "("]}},
            "emailConfig.allowedOrigins[1]",
        ),
        (
            {"emailConfig": {"secretId": UNKNOWN_SECRET, "additionalWorkflowInput": {"a": "x" * 65_536}}},
            "emailConfig.additionalWorkflowInput",
        ),
    ],
)
async def test_bad_members_are_named(api: httpx.AsyncClient, body: dict[str, Any], named: str) -> None:
    workflow = await create(api)
    for response in (
        await api.post("/v1/workflows", json={"specification": {"definition": NOTHING}, **body}),
        await api.patch(f"/v1/workflows/{workflow['workflowId']}", json=body),
    ):
        assert response.status_code == 400
        assert named in response.json()["message"]
    assert (await api.get("/v1/workflows")).json()["workflows"] == [workflow]


@pytest.mark.parametrize(
    ("specification", "named"),
    [
        (None, "specification"),
        ({}, "definition"),
        ({"definition": NOTHING, "language": "YAML"}, "specification.language"),
        ({"definition": NOTHING, "version": "2"}, "specification.version"),
        ({"definition": {}}, "specification.definition"),
        ({"definition": one_task("foo")}, "specification.definition.States.A.Resource"),
        (
            {"definition": one_task(new_id(TransitionId))},
            "specification.definition.States.A.Resource: transition",
        ),
        (
            {"definition": {"StartAt": "A", "States": {"A": {"Type": "Loop"}}}},
            "specification.definition.States.A.Type",
        ),
        (
            {"definition": {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "A"}}}},
            "specification.definition.States.A: goes round without a Task or Wait state",
        ),
        (
            {
                "definition": {
                    "StartAt": "A",
                    "States": {"A": {"Type": "Parallel", "Branches": [one_task("foo")]}},
                }
            },
            "specification.definition.States.A: must have either Next",
        ),
    ],
)
async def test_bad_specifications_are_refused(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, specification: Any, named: str
) -> None:
    response = await api.post("/v1/workflows", json={"specification": specification})
    assert response.status_code == 400
    assert named in response.json()["message"]
    assert await used(pool, organization.organization_id, "workflows") == 0


async def test_foreign_transitions_are_answered_like_unknown_ones(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient
) -> None:
    foreign = await transition(other_api)
    response = await api.post("/v1/workflows", json={"specification": {"definition": one_task(foreign)}})
    assert response.status_code == 400
    assert f"{foreign} does not exist" in response.json()["message"]
    failing = one_task("las:transition:commons-failed")
    assert (await api.post("/v1/workflows", json={"specification": {"definition": failing}})).is_success


@pytest.mark.parametrize("body", [{}, {"specification": {"definition": NOTHING}}])
async def test_members_that_cannot_be_changed_are_refused(
    api: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    workflow = await create(api)
    assert (await api.patch(f"/v1/workflows/{workflow['workflowId']}", json=body)).status_code == 400


async def test_list_is_paged_with_one_statement(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    ids = [(await create(api))["workflowId"] for _ in range(3)]
    for workflow_id, status in (
        (ids[1], "running"),
        (ids[1], "running"),
        (ids[1], "failed"),
        (ids[2], "retry"),
    ):
        await run(pool, organization, workflow_id, status)
    with statements_run() as names:
        first = (await api.get("/v1/workflows", params={"maxResults": "2"})).json()
    assert [name for name in names if name.startswith("workflow")] == ["workflows.list_workflows"]
    second = (await api.get("/v1/workflows", params={"nextToken": first["nextToken"]})).json()
    listed = first["workflows"] + second["workflows"]
    assert [workflow["workflowId"] for workflow in listed] == ids
    assert [workflow["numberOfRunningExecutions"] for workflow in listed] == [0, 2, 0]
    assert second["nextToken"] is None


async def test_a_running_workflow_cannot_be_deleted(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    workflow_id = (await create(api))["workflowId"]
    execution_id = await run(pool, organization, workflow_id)
    refused = await api.delete(f"/v1/workflows/{workflow_id}")
    assert refused.status_code == 400
    assert "1 running" in refused.json()["message"]
    await pool.execute("UPDATE workflow_execution SET status = 'failed' WHERE id = $1", execution_id)
    assert (await api.delete(f"/v1/workflows/{workflow_id}")).json()["workflowId"] == workflow_id
    assert await pool.fetchval("SELECT count(*) FROM workflow_execution") == 0


async def test_limit_and_counter(
    limited_api: httpx.AsyncClient, pool: asyncpg.Pool, limited_organization: Tenant
) -> None:
    workflow = await create(limited_api, status="production")
    assert workflow["monthlyNumberOfWorkflowExecutionsAllowed"] == 1
    refused = await limited_api.post("/v1/workflows", json={"specification": {"definition": NOTHING}})
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")
    path = f"/v1/workflows/{workflow['workflowId']}"
    answers = await asyncio.gather(*(limited_api.delete(path) for _ in "abc"))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404]
    assert await used(pool, limited_organization.organization_id, "workflows") == 0
    await create(limited_api)


async def test_a_transition_is_not_deleted_under_a_new_workflow(api: httpx.AsyncClient) -> None:
    for _ in range(5):
        transition_id = await transition(api)
        added, deleted = await asyncio.gather(
            api.post("/v1/workflows", json={"specification": {"definition": one_task(transition_id)}}),
            api.delete(f"/v1/transitions/{transition_id}"),
        )
        assert (added.status_code, deleted.status_code) in {(200, 400), (400, 200)}
