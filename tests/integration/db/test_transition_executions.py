"""Executions of transitions: time limits and ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from db import transition_executions
from db.statements import Connection
from db.transition_executions import (
    StepToRunRow,
    find_step_to_run,
    find_workflow_execution_of_step,
    list_transition_executions,
    lock_newest_step,
    lock_running_executions,
    lock_running_steps,
    lock_transition_execution,
)
from pagemill.ids import LogId, PrincipalId, TransitionExecutionId, TransitionId, WorkflowExecutionId
from tests.support.everything import insert
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADA = PrincipalId("las:user:ada")
EXECUTION = TransitionExecutionId("las:transition-execution:1")


@pytest_asyncio.fixture(loop_scope="module")
async def transition(connection: Connection, mine: Tenant) -> dict[str, Any]:
    """A manual transition of ten minutes, as the arguments that name it."""
    transition_id = TransitionId("las:transition:1")
    own = {"organization_id": mine.organization_id}
    await insert(
        connection, "transition", **own, id=transition_id, transition_type="manual", timeout_in_seconds=600
    )
    return {**own, "transition_id": transition_id}


async def now(connection: Connection) -> datetime:
    """Return the time of the transaction, which stands still."""
    return await connection.fetchval("SELECT now()")


async def add(
    connection: Connection, transition: dict[str, Any], name: str = EXECUTION, **values: Any
) -> str:
    return await insert(connection, "transition_execution", **transition, id=name, **values)


@pytest.mark.parametrize(("expires_in", "timed_out"), [(None, False), (0, False), (-1, True)])
async def test_a_locked_execution_tells_whether_it_has_timed_out(
    connection: Connection, transition: dict[str, Any], expires_in: int | None, timed_out: bool
) -> None:
    expires = None if expires_in is None else await now(connection) + timedelta(seconds=expires_in)
    await add(connection, transition, attempt=3, claimed_by=ADA, expires=expires)
    row = await lock_transition_execution(
        connection, organization_id=transition["organization_id"], execution_id=EXECUTION
    )
    assert row is not None
    assert (row.attempt, row.claimed_by, row.status, row.timed_out) == (3, ADA, "running", timed_out)


async def test_the_newest_step_is_locked(
    connection: Connection, mine: Tenant, transition: dict[str, Any]
) -> None:
    own = {"organization_id": mine.organization_id}
    await insert(connection, "workflow", **own, id="workflow")
    for execution in ("run", "other run"):
        await insert(connection, "workflow_execution", **own, id=execution, workflow_id="workflow")
    time = await now(connection)
    for name, execution, age in (("a", "run", 2), ("b", "run", 1), ("c", "run", 1), ("d", "other run", 0)):
        created_time = time - timedelta(seconds=age)
        await add(connection, transition, name, workflow_execution_id=execution, created_time=created_time)
    run = WorkflowExecutionId("run")
    newest = await lock_newest_step(connection, **own, workflow_execution_id=run)
    assert newest is not None
    assert newest.id == "c"
    step = await find_workflow_execution_of_step(connection, **transition, execution_id=newest.id)
    assert step is not None
    assert step.workflow_execution_id == run
    nothing = await lock_newest_step(connection, **own, workflow_execution_id=WorkflowExecutionId("none"))
    assert nothing is None


async def test_the_running_steps_of_an_execution_are_locked_all_or_by_key(
    connection: Connection, mine: Tenant, transition: dict[str, Any]
) -> None:
    own = {"organization_id": mine.organization_id}
    await insert(connection, "workflow", **own, id="workflow")
    for execution in ("run", "other run"):
        await insert(connection, "workflow_execution", **own, id=execution, workflow_id="workflow")
    for name, execution, status, key in (
        ("a", "run", "running", "0:1"),
        ("b", "run", "running", "1:2"),
        ("c", "run", "failed", "1:2"),
        ("d", "other run", "running", "0:1"),
        ("e", "run", "running", None),
    ):
        values = {"workflow_execution_id": execution, "status": status, "key": key}
        await add(connection, transition, name, **values)
    named = {**own, "workflow_execution_id": WorkflowExecutionId("run")}
    for key, expected in ((None, ["a", "b", "e"]), ("1:2", ["b"]), ("2:3", [])):
        assert [row.id for row in await lock_running_steps(connection, **named, key=key)] == expected
    assert await lock_running_executions(connection, **transition) == ["a", "b", "d", "e"]


@pytest.mark.parametrize(
    ("values", "missed", "lapsed"),
    [
        ({}, False, False),
        ({"heartbeat_time": 29, "heartbeat_seconds": 30}, False, False),
        ({"heartbeat_time": 30, "heartbeat_seconds": 30}, True, False),
        ({"heartbeat_time": 300, "heartbeat_seconds": None}, False, False),
        # A claim that has lapsed before it timed out, and one that has not.
        ({"heartbeat_time": 100, "expires": 40, "claimed_by": ADA}, False, True),
        ({"heartbeat_time": 100, "expires": 41, "claimed_by": ADA}, False, False),
        ({"heartbeat_time": 60, "expires": 0, "claimed_by": ADA}, False, False),
    ],
)
async def test_a_locked_execution_tells_whether_heartbeats_came(
    connection: Connection,
    transition: dict[str, Any],
    values: dict[str, Any],
    missed: bool,
    lapsed: bool,
) -> None:
    time = await now(connection)
    for name in ("heartbeat_time", "expires"):
        if name in values:
            values = {**values, name: time - timedelta(seconds=values[name])}
    await add(connection, transition, **values)
    row = await lock_transition_execution(
        connection, organization_id=transition["organization_id"], execution_id=EXECUTION
    )
    assert row is not None
    assert (row.heartbeat_missed, row.claim_lapsed) == (missed, lapsed)


@pytest.mark.parametrize(
    ("statuses", "execution_ids", "expected"),
    [
        (None, None, ["a", "b", "c"]),
        (["succeeded", "failed"], None, ["b", "c"]),
        (None, ["a", "c", "unknown"], ["a", "c"]),
        (["failed"], ["a", "b"], []),
        ([], None, []),
    ],
)
@pytest.mark.parametrize(("sort_by", "order"), transition_executions.LISTS)
async def test_a_list_has_the_executions_that_meet_all_filters(
    connection: Connection,
    transition: dict[str, Any],
    sort_by: Any,
    order: Any,
    statuses: Any,
    execution_ids: Any,
    expected: list[str],
) -> None:
    for name, status in (("a", "running"), ("b", "succeeded"), ("c", "failed")):
        await add(connection, transition, name, status=status)
    rows = await list_transition_executions(
        connection,
        sort_by=sort_by,
        order=order,
        **transition,
        statuses=statuses,
        execution_ids=execution_ids,
        after_time=None,
        after_id=None,
        limit=10,
    )
    assert [row.id for row in rows] == (expected if order == "ascending" else expected[::-1])


async def test_a_worker_is_given_what_it_needs(connection: Connection, transition: dict[str, Any]) -> None:
    await connection.execute("UPDATE transition SET parameters = $1", {"lambdaId": "las:lambda:a:1"})
    expires = await now(connection) + timedelta(seconds=90)
    await add(connection, transition, input={"a": 1}, log_id="las:log:1", expires=expires)
    await add(connection, transition, "waits")
    own = {"organization_id": transition["organization_id"]}
    transition_id, parameters = transition["transition_id"], {"lambdaId": "las:lambda:a:1"}

    row = await find_step_to_run(connection, **own, execution_id=EXECUTION)
    assert row == StepToRunRow(
        EXECUTION, transition_id, "running", {"a": 1}, LogId("las:log:1"), parameters, 90.0
    )
    row = await find_step_to_run(connection, **own, execution_id=TransitionExecutionId("waits"))
    assert (row is not None, row and row.seconds_left) == (True, None)
