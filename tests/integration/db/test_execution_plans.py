"""Lists, claims and counts of executions read few rows, however many executions have ended."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from db import transition_executions, workflow_executions
from db.claims import claim_next_execution
from db.execution_reports import list_executions
from db.keyset import Order, SortBy
from db.logs import list_logs_ascending, list_logs_descending
from db.statements import Statement
from db.workflows import list_workflows
from tests.support.plans import most_rows_read
from tests.support.tenants import Tenant

WORKFLOWS = 50
EXECUTIONS = 10_000
PAGE = 10
READ_AT_MOST = 200
WORKFLOW, TRANSITION = "workflow-7", "transition-7"
ORDERS: tuple[Order, ...] = ("ascending", "descending")
SORTS: tuple[SortBy, ...] = ("startTime", "endTime")


@pytest.fixture
async def executions(pool: asyncpg.Pool, organization: Tenant) -> None:
    """Add executions of 50 workflows with one transition each; one in twenty waits to be claimed."""
    owner = organization.organization_id
    for table, columns, values in (
        ("workflow", ", definition", ", '{}'"),
        ("transition", ", transition_type, timeout_in_seconds", ", 'manual', 600"),
    ):
        await pool.execute(
            f"""
            INSERT INTO {table} (organization_id, id, created_time{columns})
            SELECT $1, '{table}-' || number, now() + number * interval '1 ms'{values}
            FROM generate_series(0, $2::integer - 1) AS number
            """,
            owner,
            WORKFLOWS,
        )
    await pool.execute(
        """
        INSERT INTO workflow_execution (organization_id, id, workflow_id, status, start_time, end_time)
        SELECT $1, 'execution-' || number, 'workflow-' || number % $3,
            CASE WHEN number / $3 % 20 = 0 THEN 'running' ELSE 'succeeded' END,
            now() + number * interval '1 ms',
            CASE WHEN number / $3 % 20 > 0 THEN now() - number * interval '1 ms' END
        FROM generate_series(1, $2::integer) AS number
        """,
        owner,
        EXECUTIONS,
        WORKFLOWS,
    )
    await pool.execute(
        """
        INSERT INTO transition_execution (
            organization_id, id, transition_id, workflow_execution_id, status, created_time, start_time,
            end_time
        )
        SELECT $1, 'step-' || number, 'transition-' || number % $3, 'execution-' || number,
            CASE WHEN number / $3 % 20 = 0 THEN 'running' ELSE 'succeeded' END,
            now() + number * interval '1 ms',
            CASE WHEN number / $3 % 20 > 0 THEN now() + number * interval '1 ms' END,
            CASE WHEN number / $3 % 20 > 0 THEN now() - number * interval '1 ms' END
        FROM generate_series(1, $2::integer) AS number
        """,
        owner,
        EXECUTIONS,
        WORKFLOWS,
    )
    await pool.execute(
        """
        INSERT INTO log (organization_id, id, workflow_id, workflow_execution_id, transition_id, start_time)
        SELECT $1, 'log-' || number, 'workflow-' || number % $3, 'execution-' || number,
            'transition-' || number % $3, now() + number * interval '1 ms'
        FROM generate_series(1, $2::integer) AS number
        """,
        owner,
        EXECUTIONS,
        WORKFLOWS,
    )
    await pool.execute("VACUUM ANALYZE")


@pytest.mark.usefixtures("executions")
async def test_lists_read_a_page(pool: asyncpg.Pool, organization: Tenant) -> None:
    owner, later = organization.organization_id, datetime.now(UTC) + timedelta(seconds=5)
    async with pool.acquire() as connection:
        for sort_by, order in itertools.product(SORTS, ORDERS):
            for after_time, after_id in ((None, None), (later, "execution-1"), (None, "execution-1")):
                read = await most_rows_read(
                    connection,
                    workflow_executions.LISTS[sort_by, order],
                    organization_id=owner,
                    workflow_id=WORKFLOW,
                    statuses=None,
                    from_start_time=None,
                    to_start_time=None,
                    after_time=after_time,
                    after_id=after_id,
                    limit=PAGE,
                )
                assert read <= READ_AT_MOST, (sort_by, order, after_time, after_id)
                read = await most_rows_read(
                    connection,
                    transition_executions.LISTS[sort_by, order],
                    organization_id=owner,
                    transition_id=TRANSITION,
                    statuses=None,
                    execution_ids=None,
                    after_time=after_time,
                    after_id=after_id,
                    limit=PAGE,
                )
                assert read <= READ_AT_MOST, (sort_by, order, after_time, after_id)


@pytest.mark.usefixtures("executions")
@pytest.mark.parametrize("statement", [list_logs_ascending, list_logs_descending], ids=ORDERS)
@pytest.mark.parametrize(
    ("workflow_id", "workflow_execution_id", "transition_id", "transition_execution_id"),
    [
        (None, None, None, None),
        (WORKFLOW, None, None, None),
        (None, "execution-57", None, None),
        (None, None, TRANSITION, None),
        (None, None, None, "step-1"),
        (WORKFLOW, "execution-57", TRANSITION, None),
    ],
)
async def test_logs_read_a_page(
    pool: asyncpg.Pool,
    organization: Tenant,
    statement: Statement[..., Any],
    workflow_id: str | None,
    workflow_execution_id: str | None,
    transition_id: str | None,
    transition_execution_id: str | None,
) -> None:
    async with pool.acquire() as connection:
        read = await most_rows_read(
            connection,
            statement,
            organization_id=organization.organization_id,
            workflow_id=workflow_id,
            workflow_execution_id=workflow_execution_id,
            transition_id=transition_id,
            transition_execution_id=transition_execution_id,
            after_time=None,
            after_id=None,
            limit=PAGE,
        )
    assert read <= READ_AT_MOST


@pytest.mark.usefixtures("executions")
async def test_a_list_of_workflows_counts_running_executions_only(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        read = await most_rows_read(
            connection,
            list_workflows,
            organization_id=organization.organization_id,
            after_time=None,
            after_id=None,
            limit=PAGE,
            month="2026-01",
            development_allowance=100,
        )
    assert read <= 2 * PAGE * (EXECUTIONS // WORKFLOWS // 20 + 2)


@pytest.mark.usefixtures("executions")
async def test_a_claim_reads_running_executions_only(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        read = await most_rows_read(
            connection,
            claim_next_execution,
            organization_id=organization.organization_id,
            transition_id=TRANSITION,
            claimed_by="somebody",
        )
    # The running ones of that transition, and two small tables whole, one of them twice.
    assert read <= EXECUTIONS // WORKFLOWS // 20 + 3 * WORKFLOWS + 10


@pytest.mark.usefixtures("executions")
@pytest.mark.parametrize("statuses", [None, ["succeeded", "failed"]])
async def test_the_operators_list_reads_the_newest(pool: asyncpg.Pool, statuses: list[str] | None) -> None:
    async with pool.acquire() as connection:
        read = await most_rows_read(
            connection,
            list_executions,
            organization_id=None,
            workflow_id=None,
            statuses=statuses,
            since=None,
            limit=PAGE,
        )
    assert read <= READ_AT_MOST
