"""Lists, claims and counts of executions read what they need, however many have ended."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from db.logs import LIST_LOGS
from db.transition_executions import CLAIM_EXECUTION
from db.transition_executions import LIST_EXECUTIONS as LIST_STEPS
from db.workflow_executions import LIST_EXECUTIONS
from db.workflows import LIST_WORKFLOWS
from tests.support.plans import most_rows_read
from tests.support.tenants import Tenant

WORKFLOWS = 50
EXECUTIONS = 10_000
PAGE = 10
READ_AT_MOST = 200
WORKFLOW, TRANSITION = "workflow-7", "transition-7"
ORDERS = ("ascending", "descending")


@pytest.fixture
async def executions(pool: asyncpg.Pool, organization: Tenant) -> None:
    """Of 50 workflows with one transition each; one in twenty runs, and waits to be claimed."""
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
        for sort_by, order in itertools.product(("startTime", "endTime"), ORDERS):
            for after in ((None, None), (later, "execution-1"), (None, "execution-1")):
                read = await most_rows_read(
                    connection,
                    LIST_EXECUTIONS[sort_by, order],
                    owner,
                    WORKFLOW,
                    None,
                    None,
                    None,
                    *after,
                    PAGE,
                )
                assert read <= READ_AT_MOST, (sort_by, order, after)
                read = await most_rows_read(
                    connection, LIST_STEPS[sort_by, order], owner, TRANSITION, None, None, *after, PAGE
                )
                assert read <= READ_AT_MOST, (sort_by, order, after)


@pytest.mark.usefixtures("executions")
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "filters",
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
    pool: asyncpg.Pool, organization: Tenant, order: Any, filters: tuple[str | None, ...]
) -> None:
    async with pool.acquire() as connection:
        read = await most_rows_read(
            connection, LIST_LOGS[order], organization.organization_id, *filters, None, None, PAGE
        )
    assert read <= READ_AT_MOST


@pytest.mark.usefixtures("executions")
async def test_running_ones_are_counted_by_themselves(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        read = await most_rows_read(
            connection, LIST_WORKFLOWS, organization.organization_id, None, None, PAGE, "2026-01", 100
        )
    assert read <= 2 * PAGE * (EXECUTIONS // WORKFLOWS // 20 + 2)


@pytest.mark.usefixtures("executions")
async def test_a_claim_reads_what_runs(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        read = await most_rows_read(
            connection, CLAIM_EXECUTION, organization.organization_id, TRANSITION, "somebody"
        )
    # The running ones of that transition, and two small tables whole.
    assert read <= EXECUTIONS // WORKFLOWS // 20 + 2 * WORKFLOWS + 5
