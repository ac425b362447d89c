"""Figures of executions are those of all organizations, and endings are counted once."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from pagemill.workflows.execution_figures import ExecutionFigures, ExecutionWatch
from tests.support.everything import insert
from tests.support.tenants import Tenant


class Steps:
    """Adds steps of several organizations by turns; values that are numbers are seconds before now."""

    def __init__(self, pool: asyncpg.Pool, *tenants: Tenant) -> None:
        self._pool, self._tenants, self._numbers = pool, itertools.cycle(tenants), itertools.count()

    async def add(self, transition_type: str, **values: Any) -> None:
        name = str(next(self._numbers))
        own = {"organization_id": next(self._tenants).organization_id, "id": name}
        transition = {"transition_type": transition_type, "timeout_in_seconds": 600}
        await insert(self._pool, "transition", **own, **transition)
        now = await self._pool.fetchval("SELECT clock_timestamp()")
        times = {
            column: now - timedelta(seconds=value) if isinstance(value, int) else value
            for column, value in values.items()
        }
        await insert(self._pool, "transition_execution", **own, transition_id=name, **times)


@pytest.fixture
def steps(pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant) -> Steps:
    return Steps(pool, organization, other_organization)


async def ask(pool: asyncpg.Pool, watch: ExecutionWatch) -> ExecutionFigures:
    async with pool.acquire() as connection:
        return await watch.ask(connection)


async def test_steps_that_people_can_claim_are_counted(pool: asyncpg.Pool, steps: Steps) -> None:
    watch = ExecutionWatch()
    assert await ask(pool, watch) == ExecutionFigures()
    await steps.add("manual", created_time=100)
    await steps.add("manual", created_time=300, deferred_until=120)
    await steps.add("manual", created_time=50, claimed_by="gone", heartbeat_time=61)
    for values in (
        {"created_time": 500, "claimed_by": "somebody", "heartbeat_time": 30},
        {"created_time": 500, "deferred_until": -60},
        {"created_time": 500, "status": "failed"},
    ):
        await steps.add("manual", **values)
    await steps.add("docker", created_time=500)
    found = await ask(pool, watch)
    assert found.waiting_steps == 3
    assert 120 <= found.oldest_step < 180


async def test_endings_are_counted_once(pool: asyncpg.Pool, steps: Steps) -> None:
    await steps.add("docker", status="succeeded", end_time=60)
    assert (await ask(pool, ExecutionWatch())).ended_steps == {}
    watch = ExecutionWatch(since=await pool.fetchval("SELECT now() - interval '10 seconds'"))
    await steps.add("docker", status="succeeded", end_time=5)
    await steps.add("manual", status="rejected", end_time=4)
    await steps.add("manual", status="rejected", end_time=3)
    await steps.add("manual", status="failed", end_time=-60)
    await pool.execute(
        "INSERT INTO transition_execution (organization_id, id, transition_id, status, end_time) "
        "SELECT organization_id, 'of all', 'las:transition:commons-x', 'failed', end_time "
        "FROM transition_execution WHERE status = 'succeeded' AND end_time > now() - interval '10 seconds'"
    )
    expected = {("docker", "succeeded"): 1, ("manual", "rejected"): 2, ("lambda", "failed"): 1}
    for _ in range(2):
        assert (await ask(pool, watch)).ended_steps == expected
    await pool.execute("UPDATE transition_execution SET end_time = end_time - interval '1 hour'")
    assert (await ask(pool, watch)).ended_steps == expected


async def test_open_executions_are_counted_by_status(
    pool: asyncpg.Pool, organization: Tenant, other_organization: Tenant
) -> None:
    for tenant, statuses in (
        (organization, ("running", "retry")),
        (other_organization, ("running", "failed")),
    ):
        own = {"organization_id": tenant.organization_id}
        workflow_id = await insert(pool, "workflow", **own, id=tenant.organization_id, definition={})
        for status in statuses:
            name = f"{tenant.organization_id} {status}"
            await insert(pool, "workflow_execution", **own, id=name, workflow_id=workflow_id, status=status)
    assert (await ask(pool, ExecutionWatch())).executions == {"running": 2, "retry": 1}
