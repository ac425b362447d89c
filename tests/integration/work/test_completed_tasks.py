"""The container of a workflow is queued once with the end of each execution, whatever the end is."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from pagemill.ids import OrganizationId, WorkflowExecutionId, WorkflowId, new_id
from pagemill.workflows.completed_tasks import COMPLETED_TASK, queue_completed_task
from tests.support.tenants import Tenant
from tests.support.workflow_seeds import seed_workflow

CONFIG = {"imageUrl": "registry.example.com/after:1", "environment": {"A": "b"}}


async def seed_execution(pool: asyncpg.Pool, organization: Tenant, completed: dict[str, Any] | None) -> str:
    """An execution that is about to end."""
    workflow_id = await seed_workflow(pool, organization.organization_id, completed=completed)
    execution_id = new_id(WorkflowExecutionId)
    await pool.execute(
        "INSERT INTO workflow_execution (organization_id, id, workflow_id) VALUES ($1, $2, $3)",
        *(organization.organization_id, execution_id, workflow_id),
    )
    return execution_id


async def end(pool: asyncpg.Pool, organization: Tenant, execution_id: str) -> None:
    workflow_id = await pool.fetchval(
        "SELECT workflow_id FROM workflow_execution WHERE id = $1", execution_id
    )
    async with pool.acquire() as connection, connection.transaction():
        await queue_completed_task(
            connection,
            OrganizationId(organization.organization_id),
            WorkflowId(workflow_id),
            WorkflowExecutionId(execution_id),
        )


async def test_it_has_a_log_of_its_own_and_a_job(pool: asyncpg.Pool, organization: Tenant) -> None:
    execution_id = await seed_execution(pool, organization, CONFIG)
    await end(pool, organization, execution_id)

    log_id = await pool.fetchval(
        "SELECT completed_task_log_id FROM workflow_execution WHERE id = $1", execution_id
    )
    assert await pool.fetchval("SELECT workflow_execution_id FROM log WHERE id = $1", log_id) == execution_id
    [job] = await pool.fetch("SELECT kind, state FROM job WHERE subject_id = $1", execution_id)
    assert (job["kind"], job["state"]) == (COMPLETED_TASK, "queued")


@pytest.mark.parametrize("table", ["job", "log"])
async def test_what_is_rolled_back_is_not_queued(
    pool: asyncpg.Pool, organization: Tenant, table: str
) -> None:
    execution_id = await seed_execution(pool, organization, CONFIG)
    workflow_id = await pool.fetchval("SELECT workflow_id FROM workflow_execution")
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await queue_completed_task(
            connection,
            OrganizationId(organization.organization_id),
            WorkflowId(workflow_id),
            WorkflowExecutionId(execution_id),
        )
        await transaction.rollback()

    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0
