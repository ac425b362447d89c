"""Executions of workflows: their steps, states, events and ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from db import workflow_executions
from db.statements import Connection
from db.workflow_executions import (
    KEPT_EVENTS,
    WorkflowExecutionRow,
    add_event,
    complete_workflow_execution,
    delete_workflow_execution,
    get_workflow_execution,
    list_workflow_executions,
    lock_workflow_execution,
    reopen_workflow_execution,
)
from pagemill.ids import PrincipalId, WorkflowExecutionId, WorkflowId
from tests.support.everything import insert
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXECUTION = WorkflowExecutionId("las:workflow-execution:1")
DEFINITION = {"StartAt": "Review", "States": {"Review": {"Type": "Task", "Resource": "las:transition:1"}}}
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest_asyncio.fixture(loop_scope="module")
async def workflow(connection: Connection, mine: Tenant) -> dict[str, Any]:
    """A workflow in production, as the arguments that name it."""
    own = {"organization_id": mine.organization_id}
    await insert(
        connection,
        "workflow",
        **own,
        id="las:workflow:1",
        definition=DEFINITION,
        error_config={"email": "ada@example.com"},
        status="production",
    )
    return {**own, "workflow_id": WorkflowId("las:workflow:1")}


@pytest_asyncio.fixture(loop_scope="module")
async def execution(connection: Connection, workflow: dict[str, Any]) -> dict[str, Any]:
    """A running execution, as the arguments that name it."""
    await insert(connection, "workflow_execution", **workflow, id=EXECUTION, start_time=START)
    return {"organization_id": workflow["organization_id"], "execution_id": EXECUTION}


async def get(connection: Connection, workflow: dict[str, Any]) -> WorkflowExecutionRow:
    row = await get_workflow_execution(connection, **workflow, execution_id=EXECUTION)
    assert row is not None
    return row


async def test_steps_are_shown_by_transition_and_only_those_of_the_organization(
    connection: Connection, theirs: Tenant, workflow: dict[str, Any], execution: dict[str, Any]
) -> None:
    steps = [("t1", "b", 1), ("t1", "a", 2), ("t1", "c", 1), ("t2", "d", 3)]
    own = {"organization_id": workflow["organization_id"]}
    for name in ("t1", "t2"):
        await insert(connection, "transition", **own, id=name, transition_type="docker")
    for transition_id, name, second in (*steps, ("t1", "of theirs", 1)):
        owner = {"organization_id": theirs.organization_id} if name == "of theirs" else own
        await insert(
            connection,
            "transition_execution",
            **owner,
            id=name,
            transition_id=transition_id,
            workflow_execution_id=EXECUTION,
            created_time=START + timedelta(seconds=second),
        )
    expected = {"t1": ["b", "c", "a"], "t2": ["d"]}
    assert (await get(connection, workflow)).transition_executions == expected
    for statement in workflow_executions.LISTS.values():
        arguments = dict.fromkeys(statement.hints) | workflow | {"limit": 10}
        (row,) = await statement(connection, **arguments)
        assert row.transition_executions == expected


async def test_an_execution_is_locked_with_the_workflow_that_it_runs(
    connection: Connection, execution: dict[str, Any]
) -> None:
    machine = {"root": {"state": "Review", "retries": [1]}}
    await connection.execute("UPDATE workflow_execution SET machine = $1, state = 'Review'", machine)
    row = await lock_workflow_execution(connection, **execution)
    assert row is not None
    assert (row.machine, row.workflow_name) == (machine, None)
    assert row.error_config == {"email": "ada@example.com"}
    assert (row.workflow_status, row.status, row.state) == ("production", "running", "Review")
    assert row.now == await connection.fetchval("SELECT now()")


async def test_an_execution_that_has_ended_runs_again_from_its_machine(
    connection: Connection, workflow: dict[str, Any], execution: dict[str, Any]
) -> None:
    machine = {"root": {"state": "Review"}}
    await connection.execute(
        """
        UPDATE workflow_execution SET
            status = 'failed', machine = $1, state = 'Review', output = '{}', end_time = now()
        """,
        machine,
    )
    await reopen_workflow_execution(connection, **execution)
    row = await get(connection, workflow)
    assert (row.status, row.output, row.end_time) == ("running", None, None)
    locked = await lock_workflow_execution(connection, **execution)
    assert locked is not None
    assert (locked.machine, locked.state) == (machine, "Review")


@pytest.mark.parametrize("before", [KEPT_EVENTS - 2, KEPT_EVENTS - 1, KEPT_EVENTS])
async def test_the_newest_events_are_kept(
    connection: Connection, workflow: dict[str, Any], execution: dict[str, Any], before: int
) -> None:
    events = [{"number": number} for number in range(before)]
    await connection.execute("UPDATE workflow_execution SET events = $1", events)
    await add_event(connection, **execution, event={"number": "new"})
    kept = (await get(connection, workflow)).events
    assert kept == [*events, {"number": "new"}][-KEPT_EVENTS:]


@pytest.mark.parametrize(
    ("status", "to", "former", "touched", "completed_by"),
    [
        ("succeeded", "completed", [], 1, ["ada"]),
        ("completed", "completed", ["ada"], 1, ["ada"]),
        ("completed", "completed", ["bob"], 1, ["bob", "ada"]),
        ("completed", "succeeded", ["bob"], 1, ["bob"]),
        ("running", "completed", [], 0, []),
        ("failed", "completed", [], 0, []),
    ],
)
async def test_an_execution_that_has_succeeded_is_completed_by_callers(
    connection: Connection,
    workflow: dict[str, Any],
    execution: dict[str, Any],
    status: str,
    to: Any,
    former: list[str],
    touched: int,
    completed_by: list[str],
) -> None:
    await connection.execute("UPDATE workflow_execution SET status = $1, completed_by = $2", status, former)
    count = await complete_workflow_execution(
        connection, **workflow, execution_id=EXECUTION, status=to, caller_id=PrincipalId("ada")
    )
    row = await get(connection, workflow)
    assert (count, row.completed_by) == (touched, completed_by)
    assert row.status == (to if touched else status)


@pytest.mark.parametrize(
    ("from_second", "to_second", "statuses", "expected"),
    [
        (None, None, None, ["a", "b", "c"]),
        (1, None, None, ["b", "c"]),
        (None, 1, None, ["a", "b"]),
        (1, 1, None, ["b"]),
        (0, 2, ["failed", "retry"], ["a", "c"]),
    ],
)
@pytest.mark.parametrize(("sort_by", "order"), workflow_executions.LISTS)
async def test_a_list_has_the_executions_that_started_between_two_times_inclusive(
    connection: Connection,
    workflow: dict[str, Any],
    sort_by: Any,
    order: Any,
    from_second: int | None,
    to_second: int | None,
    statuses: Any,
    expected: list[str],
) -> None:
    for second, (name, status) in enumerate((("a", "failed"), ("b", "running"), ("c", "retry"))):
        start_time = START + timedelta(seconds=second)
        await insert(
            connection, "workflow_execution", **workflow, id=name, status=status, start_time=start_time
        )
    rows = await list_workflow_executions(
        connection,
        sort_by=sort_by,
        order=order,
        **workflow,
        statuses=statuses,
        from_start_time=None if from_second is None else START + timedelta(seconds=from_second),
        to_start_time=None if to_second is None else START + timedelta(seconds=to_second),
        after_time=None,
        after_id=None,
        limit=10,
    )
    assert [row.id for row in rows] == (expected if order == "ascending" else expected[::-1])


async def test_an_execution_is_deleted_with_its_steps(
    connection: Connection, workflow: dict[str, Any], execution: dict[str, Any]
) -> None:
    own = {"organization_id": workflow["organization_id"]}
    await insert(connection, "transition", **own, id="t", transition_type="docker")
    for name, run in (("step", EXECUTION), ("alone", None)):
        await insert(
            connection,
            "transition_execution",
            **own,
            id=name,
            transition_id="t",
            workflow_execution_id=run,
        )
    assert await delete_workflow_execution(connection, **execution) == 1
    assert await delete_workflow_execution(connection, **execution) == 0
    assert [row["id"] for row in await connection.fetch("SELECT id FROM transition_execution")] == ["alone"]
