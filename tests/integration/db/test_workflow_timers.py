"""Timers of workflows: started, claimed when they are due, deleted with what they were for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from db import job_leases, workflow_timers
from db.pool import PLANNED_ONCE
from db.statements import Connection
from db.workflow_timers import (
    claim_timers,
    delete_timers_of_execution,
    delete_timers_of_step,
    seconds_to_next_timer,
    start_timer,
    start_timer_of_step,
)
from pagemill.ids import SubjectId, TransitionExecutionId, WorkflowExecutionId
from tests.support.everything import insert
from tests.support.plans import rows_read
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEP, RUN = TransitionExecutionId("step"), WorkflowExecutionId("run")


@pytest_asyncio.fixture(loop_scope="module")
async def transition(connection: Connection, mine: Tenant) -> dict[str, Any]:
    """A transition, as the values of a step that name it."""
    own = {"organization_id": mine.organization_id}
    values = {"transition_type": "docker", "timeout_in_seconds": 60}
    await insert(connection, "transition", **own, id="transition", **values)
    return {**own, "transition_id": "transition"}


async def timers(connection: Connection) -> list[tuple[str, dict[str, Any], datetime]]:
    rows = await connection.fetch(
        "SELECT subject_id, payload, run_after FROM job WHERE kind = 'workflow-timer' ORDER BY run_after, id"
    )
    return [tuple(row) for row in rows]


async def claimed(connection: Connection, limit: int = 10) -> list[str]:
    return [row.subject_id for row in await claim_timers(connection, owner="one", lease=60.0, limit=limit)]


@pytest.mark.parametrize(
    ("seconds", "until"), [(90.0, None), (0.0, None), (None, datetime(2040, 1, 1, tzinfo=UTC))]
)
async def test_a_timer_is_due_after_some_seconds_or_at_a_time(
    connection: Connection,
    own: dict[str, Any],
    now: datetime,
    seconds: float | None,
    until: datetime | None,
) -> None:
    await start_timer(
        connection, **own, subject_id=SubjectId(RUN), payload={"key": "0:1"}, seconds=seconds, until=until
    )
    due = until or now + timedelta(seconds=seconds or 0)
    assert await timers(connection) == [(RUN, {"key": "0:1"}, due)]
    assert await claimed(connection) == ([RUN] if seconds == 0 else [])


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ({"expires": 60}, 60),
        ({"expires": 60, "heartbeat_time": -5, "heartbeat_seconds": 20}, 15),
        ({"expires": 10, "heartbeat_time": 0, "heartbeat_seconds": 20}, 10),
        ({"heartbeat_time": 0, "heartbeat_seconds": 20}, 20),
        ({"expires": 60, "heartbeat_time": 0}, 60),
        ({}, None),
        ({"expires": 60, "status": "failed"}, None),
    ],
)
async def test_a_step_has_a_timer_for_what_comes_first(
    connection: Connection,
    transition: dict[str, Any],
    now: datetime,
    values: dict[str, Any],
    seconds: int | None,
) -> None:
    for name in ("expires", "heartbeat_time"):
        if name in values:
            values = {**values, name: now + timedelta(seconds=values[name])}
    await insert(connection, "transition_execution", **transition, id=STEP, **values)
    organization_id = transition["organization_id"]
    await start_timer_of_step(connection, organization_id=organization_id, execution_id=STEP)
    expected = [] if seconds is None else [(STEP, {}, now + timedelta(seconds=seconds))]
    assert await timers(connection) == expected


async def test_only_queued_timers_are_deleted(connection: Connection, own: dict[str, Any]) -> None:
    """One that fires finds that there is nothing to do."""
    for name, values in {
        "queued": {"subject_id": STEP},
        "running": {"subject_id": STEP, "state": "running"},
        "of another": {"subject_id": "other"},
        "of another kind": {"subject_id": STEP, "kind": "function"},
    }.items():
        await insert(connection, "job", **own, **{"id": name, "kind": "workflow-timer", **values})
    assert await delete_timers_of_step(connection, **own, execution_id=STEP) == 1
    left = await connection.fetch("SELECT id FROM job ORDER BY id")
    assert [row["id"] for row in left] == ["of another", "of another kind", "running"]


@pytest.mark.parametrize(("key", "left"), [("0:1", ["1:2"]), ("2:3", ["0:1", "1:2"]), (None, [])])
async def test_the_timers_of_an_execution_are_deleted_all_or_by_key(
    connection: Connection, own: dict[str, Any], key: str | None, left: list[str]
) -> None:
    for number, one in enumerate(("0:1", "1:2")):
        await start_timer(
            connection,
            **own,
            subject_id=SubjectId(RUN),
            payload={"key": one},
            seconds=60.0 + number,
            until=None,
        )
    await delete_timers_of_execution(connection, **own, execution_id=RUN, key=key)
    assert [payload["key"] for _, payload, _ in await timers(connection)] == left


async def add(connection: Connection, organization: str, name: str, due: datetime, **values: Any) -> None:
    values = {"kind": "workflow-timer", "run_after": due, "subject_id": name, **values}
    await insert(connection, "job", organization_id=organization, id=f"timer {name}", **values)


async def test_timers_are_claimed_by_turns_in_the_order_in_which_they_become_due(
    connection: Connection, now: datetime
) -> None:
    for number in range(5):
        await add(connection, "a", f"a{number}", now - timedelta(seconds=50 - number))
    await add(connection, "a", "a not yet", now + timedelta(seconds=1))
    await add(connection, "b", "b0", now - timedelta(seconds=1))
    await add(connection, "b", "another kind", now - timedelta(days=1), kind="function")
    assert sorted(await claimed(connection, limit=2)) == ["a0", "b0"]
    assert sorted(await claimed(connection, limit=2)) == ["a1", "a2"]
    assert sorted(await claimed(connection)) == ["a3", "a4"]
    assert await claimed(connection) == []


async def test_the_next_timer_is_the_first_one_that_is_queued(connection: Connection, now: datetime) -> None:
    assert await seconds_to_next_timer(connection) is None
    await add(connection, "b", "later", now + timedelta(seconds=90))
    await add(connection, "a", "last", now + timedelta(days=1))
    assert await seconds_to_next_timer(connection) == 90
    await add(connection, "a", "running", now + timedelta(seconds=1), state="running")
    await add(connection, "a", "another kind", now + timedelta(seconds=1), kind="function")
    assert await seconds_to_next_timer(connection) == 90


async def test_a_timer_that_became_due_after_a_claim_is_the_next_one(
    connection: Connection, now: datetime
) -> None:
    await add(connection, "b", "later", now + timedelta(seconds=90))
    await add(connection, "a", "due", now - timedelta(seconds=1))
    assert await seconds_to_next_timer(connection) == -1


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize("planned_once", [True, False])
async def test_timers_that_are_not_due_are_not_looked_at(pool: asyncpg.Pool, planned_once: bool) -> None:
    """A hundred thousand executions wait: what becomes due is found among them without reading them."""
    async with pool.acquire() as connection:
        for name, value in PLANNED_ONCE.items() if planned_once else ():
            await connection.execute(f"SET {name} = {value}")
        await connection.execute(
            """
            INSERT INTO job (organization_id, id, kind, subject_id, run_after)
            SELECT 'organization ' || number % 5, 'timer ' || number, 'workflow-timer', 'run ' || number,
                now() + CASE WHEN number <= 10 THEN interval '-1 minute' ELSE number * interval '1 s' END
            FROM generate_series(1, 100000) AS number
            """
        )
        await connection.execute("VACUUM ANALYZE job")
        read = {}
        for statement, types, arguments in (
            (workflow_timers.claim_timers, "(text, float8, integer)", "('one', 60.0, 64)"),
            (workflow_timers.seconds_to_next_timer, "", ""),
            (job_leases.claim_jobs, "(text, text, float8, integer)", "('function', 'one', 60.0, 64)"),
        ):
            await connection.execute(f"PREPARE looked_at {types} AS {statement.sql}")
            plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE looked_at {arguments}")
            read[statement.name] = rows_read(plan[0]["Plan"])
            await connection.execute("DEALLOCATE looked_at")
        await connection.close()
    assert max(read.values()) < 200, read
