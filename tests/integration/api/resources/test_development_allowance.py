"""Workflows in development start few executions a month, those in production as many as the plan allows."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from pagemill.settings import Settings
from pagemill.usage.limits import UNLIMITED
from tests.support.flows import create_workflow, ok, start
from tests.support.seeds import used
from tests.support.tenants import Tenant

ALLOWANCE = 3
AT_ONCE = {"A": {"Type": "Succeed"}}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, development_workflow_executions=ALLOWANCE)


async def numbers(api: httpx.AsyncClient, workflow_id: str) -> tuple[Any, Any]:
    workflow = await ok(await api.get(f"/v1/workflows/{workflow_id}"))
    return (
        workflow["monthlyNumberOfWorkflowExecutionsCreated"],
        workflow["monthlyNumberOfWorkflowExecutionsAllowed"],
    )


async def test_concurrent_starts_do_not_exceed_the_allowance(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    workflow_id = await create_workflow(api, AT_ONCE)
    path = f"/v1/workflows/{workflow_id}/executions"
    answers = await asyncio.gather(*(api.post(path, json={"input": {}}) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * ALLOWANCE + [429] * (8 - ALLOWANCE)
    assert await numbers(api, workflow_id) == (ALLOWANCE, ALLOWANCE)
    assert await used(pool, organization.organization_id, "workflow-executions") == ALLOWANCE
    assert await pool.fetchval("SELECT count(*) FROM workflow_execution") == ALLOWANCE


async def test_a_month_begins_with_the_whole_allowance(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    workflow_id = await create_workflow(api, AT_ONCE)
    for _ in range(ALLOWANCE):
        await start(api, workflow_id)
    path = f"/v1/workflows/{workflow_id}/executions"
    assert (await api.post(path, json={"input": {}})).status_code == 429
    await pool.execute("UPDATE usage_counter SET month = '2024-01' WHERE month <> 'total'")
    await start(api, workflow_id)
    assert await numbers(api, workflow_id) == (1, ALLOWANCE)


async def test_production_is_limited_by_the_plan_and_development_again_by_the_allowance(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    workflow_id = await create_workflow(api, AT_ONCE, status="production")
    for _ in range(ALLOWANCE + 1):
        await start(api, workflow_id)
    assert await numbers(api, workflow_id) == (ALLOWANCE + 1, UNLIMITED)
    await pool.execute("UPDATE plan SET allowed = '{\"workflow-executions\": 5}'")
    assert await numbers(api, workflow_id) == (ALLOWANCE + 1, 5)
    await ok(await api.patch(f"/v1/workflows/{workflow_id}", json={"status": "development"}))
    assert await numbers(api, workflow_id) == (ALLOWANCE + 1, ALLOWANCE)
    path = f"/v1/workflows/{workflow_id}/executions"
    refused = await api.post(path, json={"input": {}})
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")
