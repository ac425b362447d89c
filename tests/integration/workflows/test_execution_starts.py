"""Starts of executions that share a transaction: each has its own answer, and its own failure."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from db.pool import create_pool
from db.workflow_executions import WorkflowExecutionRow
from pagemill.errors import LimitExceeded, Unavailable
from pagemill.ids import OrganizationId, TransitionId, WorkflowId, new_id
from pagemill.workflows.execution_starts import ExecutionStarts
from pagemill.workflows.workflow_executions import Start
from tests.support.flows import task
from tests.support.queries import statements_run
from tests.support.seeds import used
from tests.support.tenants import Tenant, create_tenant

ALLOWANCE = 5
"""Executions of a workflow in development."""


async def stored_workflow(
    pool: asyncpg.Pool, organization_id: OrganizationId, state: dict[str, Any], status: str = "production"
) -> WorkflowId:
    workflow_id = new_id(WorkflowId)
    definition = {"StartAt": "Only", "States": {"Only": state}}
    await pool.execute(
        "INSERT INTO workflow (organization_id, id, definition, status) VALUES ($1, $2, $3, $4)",
        *(organization_id, workflow_id, definition, status),
    )
    return workflow_id


async def stored_task(pool: asyncpg.Pool, organization_id: OrganizationId) -> dict[str, Any]:
    transition_id = new_id(TransitionId)
    await pool.execute(
        """
        INSERT INTO transition (organization_id, id, transition_type, parameters, timeout_in_seconds)
        VALUES ($1, $2, 'lambda', '{"lambdaId": "las:lambda:any:1"}', 60)
        """,
        *(organization_id, transition_id),
    )
    return task(transition_id)


@pytest.fixture
def starts(pool: asyncpg.Pool) -> ExecutionStarts:
    return ExecutionStarts(pool, development_allowance=ALLOWANCE)


async def started(starts: ExecutionStarts, asked: list[tuple[OrganizationId, WorkflowId]]) -> list[Any]:
    """Start all at the same time, each with its place as the input."""
    return await asyncio.gather(
        *(starts.start(owner, Start(one, {"n": n}, None)) for n, (owner, one) in enumerate(asked)),
        return_exceptions=True,
    )


async def test_they_are_written_by_the_statements_of_one(
    pool: asyncpg.Pool, organization: Tenant, starts: ExecutionStarts
) -> None:
    owner = organization.organization_id
    workflow_id = await stored_workflow(pool, owner, await stored_task(pool, owner))
    with statements_run() as of_one:
        await started(starts, [(owner, workflow_id)])
    with statements_run() as of_many:
        found = await started(starts, [(owner, workflow_id)] * 8)
    # The first one has read the definition as well.
    assert sorted(of_many) == sorted(set(of_one) - {"workflows.get_definition"})
    rows = await pool.fetch("SELECT id, input, status FROM workflow_execution")
    inputs = {row["id"]: row["input"] for row in rows}
    assert [inputs[one.id] for one in found] == [one.input for one in found] == [{"n": n} for n in range(8)]
    steps = await pool.fetch("SELECT workflow_execution_id, input FROM transition_execution")
    assert {row["workflow_execution_id"]: row["input"] for row in steps} == inputs
    assert await pool.fetchval("SELECT count(*) FROM job WHERE kind = 'function'") == 9
    for meter in ("workflow-executions", "transition-executions"):
        assert await used(pool, owner, meter) == 9


async def test_one_that_is_refused_refuses_no_other(
    pool: asyncpg.Pool, organization: Tenant, starts: ExecutionStarts
) -> None:
    owner = organization.organization_id
    async with pool.acquire() as connection:
        stranger = (await create_tenant(connection)).organization_id
    allowed = await stored_workflow(pool, owner, {"Type": "Succeed"})
    limited = await stored_workflow(pool, owner, {"Type": "Succeed"}, "development")
    foreign = await stored_workflow(pool, stranger, {"Type": "Succeed"})
    asked = [(owner, allowed), (owner, limited), (owner, foreign), (stranger, foreign)] * 8

    found = await started(starts, asked)

    of = {one: [answer for place, answer in zip(asked, found, strict=True) if place == one] for one in asked}
    assert sum(isinstance(one, LimitExceeded) for one in of[owner, limited]) == 8 - ALLOWANCE
    assert of[owner, foreign] == [None] * 8
    ids = {one.id for one in found if isinstance(one, WorkflowExecutionRow)}
    assert len(ids) == 8 + ALLOWANCE + 8
    assert {row["id"] for row in await pool.fetch("SELECT id FROM workflow_execution")} == ids
    assert await used(pool, owner, "workflow-executions") == 8 + ALLOWANCE
    assert await used(pool, stranger, "workflow-executions") == 8


async def test_without_postgres_all_are_told_to_come_again(
    pool: asyncpg.Pool, database_url: str, organization: Tenant
) -> None:
    workflow_id = await stored_workflow(pool, organization.organization_id, {"Type": "Succeed"})
    closed = await create_pool(database_url, size=1)
    await closed.close()
    starts = ExecutionStarts(closed, development_allowance=ALLOWANCE)
    found = await started(starts, [(organization.organization_id, workflow_id)] * 3)
    assert [type(one) for one in found] == [Unavailable] * 3
