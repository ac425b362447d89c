"""Progress of executions: one statement writes all that a transaction has decided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from db.statements import Connection
from db.transition_executions import TransitionExecutionRow, get_transition_execution
from db.workflow_executions import WorkflowExecutionRow, get_workflow_execution
from db.workflow_progress import (
    EndedStep,
    ExecutionChange,
    NewExecution,
    NewLine,
    NewLog,
    NewStep,
    NewStepJob,
    NewTimer,
    Used,
    lock_executions_of_steps,
    lock_steps,
    write_progress,
)
from pagemill.ids import (
    JobId,
    LogId,
    OrganizationId,
    PrincipalId,
    SubjectId,
    TransitionExecutionId,
    TransitionId,
    WorkflowExecutionId,
    WorkflowId,
)
from tests.support.everything import insert
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADA = PrincipalId("las:user:ada")
RUN, STEP = WorkflowExecutionId("run"), TransitionExecutionId("step")
WORKFLOW, TRANSITION, LOG = WorkflowId("workflow"), TransitionId("transition"), LogId("log")


@pytest_asyncio.fixture(loop_scope="module")
async def owner(connection: Connection, mine: Tenant) -> OrganizationId:
    """An organization with a workflow and a transition."""
    own = {"organization_id": mine.organization_id}
    await insert(connection, "workflow", **own, id=WORKFLOW)
    await insert(connection, "transition", **own, id=TRANSITION, transition_type="docker")
    return mine.organization_id


async def write(connection: Connection, **parts: Any) -> None:
    names = ("executions", "steps", "ended_steps", "logs", "lines", "timers", "used")
    await write_progress(connection, **({name: [] for name in names} | parts))


async def now(connection: Connection) -> datetime:
    """Return the time of the transaction, which stands still."""
    return await connection.fetchval("SELECT now()")


async def jobs(connection: Connection) -> list[tuple[Any, ...]]:
    rows = await connection.fetch(
        "SELECT kind, subject_id, payload, run_after, organization_id FROM job ORDER BY kind, subject_id"
    )
    return [tuple(row) for row in rows]


def step(owner: OrganizationId, **members: Any) -> NewStep:
    one = NewStep(
        organization_id=owner,
        id=STEP,
        transition_id=TRANSITION,
        transition_type="docker",
        workflow_execution_id=None,
        state="A",
        key="0/1:7",
        attempt=2,
        input={"documentId": "las:document:1", "none": None},
        log_id=LOG,
        is_due=True,
        delay=0.0,
        timeout_in_seconds=60,
        heartbeat_seconds=None,
        job=NewStepJob(
            id=JobId("job"), kind="container", priority=7, maximum_attempts=3, trace_context="trace"
        ),
    )
    return msgspec.structs.replace(one, **members)


@pytest.mark.parametrize(("is_due", "delay"), [(True, 0.0), (True, 30.0), (False, 0.0)])
@pytest.mark.parametrize("heartbeat_seconds", [None, 20])
async def test_a_step_is_due_after_its_delay_or_waits_to_be_claimed(
    connection: Connection, owner: OrganizationId, is_due: bool, delay: float, heartbeat_seconds: int | None
) -> None:
    await write(
        connection,
        steps=[step(owner, is_due=is_due, delay=delay, heartbeat_seconds=heartbeat_seconds)],
    )
    start = await now(connection) + timedelta(seconds=delay) if is_due else None
    row = await get_transition_execution(
        connection, organization_id=owner, transition_id=TRANSITION, execution_id=STEP
    )
    assert row == TransitionExecutionRow(
        id=STEP,
        transition_id=TRANSITION,
        input={"documentId": "las:document:1", "none": None},
        output=None,
        status="running",
        completed_by=None,
        log_id=LOG,
        start_time=start,
        end_time=None,
    )
    stored = await connection.fetchrow("SELECT * FROM transition_execution")
    assert (stored["attempt"], stored["key"], stored["state"]) == (2, "0/1:7", "A")
    assert (stored["timeout_in_seconds"], stored["heartbeat_seconds"]) == (60, heartbeat_seconds)
    assert stored["expires"] == (start + timedelta(seconds=60) if start else None)
    assert stored["running_since"] == start
    assert stored["heartbeat_time"] == (start if heartbeat_seconds else None)


async def test_a_step_that_is_due_has_its_job_and_its_timer(
    connection: Connection, owner: OrganizationId
) -> None:
    names = ("due", "later", "manual", "watched")
    ids = [TransitionExecutionId(name) for name in names]
    job = step(owner).job
    assert job is not None
    await write(
        connection,
        steps=[
            step(owner, id=ids[0]),
            step(owner, id=ids[1], delay=30.0, job=msgspec.structs.replace(job, id=JobId("not yet"))),
            step(owner, id=ids[2], is_due=False, job=None),
            step(owner, id=ids[3], heartbeat_seconds=20, job=None),
        ],
    )
    time = await now(connection)
    assert await jobs(connection) == [
        ("container", "due", {}, time, owner),
        ("workflow-timer", "due", {}, time + timedelta(seconds=60), owner),
        ("workflow-timer", "later", {"begin": "docker"}, time + timedelta(seconds=30), owner),
        ("workflow-timer", "watched", {}, time + timedelta(seconds=20), owner),
    ]
    queued = await connection.fetchrow("SELECT * FROM job WHERE kind = 'container'")
    assert (queued["id"], queued["priority"], queued["maximum_attempts"]) == ("job", 7, 3)
    assert queued["trace_context"] == "trace"


async def test_an_execution_begins_goes_on_and_ends(connection: Connection, owner: OrganizationId) -> None:
    begun = ExecutionChange(
        organization_id=owner,
        id=RUN,
        status="running",
        state="A",
        machine={"root": {"state": "A"}},
        new=NewExecution(workflow_id=WORKFLOW, input={"total": 1}, log_id=LOG, created_by=ADA),
    )
    await write(connection, executions=[begun])
    expected = WorkflowExecutionRow(
        id=RUN,
        workflow_id=WORKFLOW,
        input={"total": 1},
        output=None,
        status="running",
        events=[],
        completed_by=[],
        log_id=LOG,
        completed_task_log_id=None,
        created_by=ADA,
        start_time=await now(connection),
        end_time=None,
        transition_executions={},
    )
    arguments = {"organization_id": owner, "workflow_id": WORKFLOW, "execution_id": RUN}
    assert await get_workflow_execution(connection, **arguments) == expected
    moved = msgspec.structs.replace(
        begun, status="retry", state="B", machine={"root": {"state": "B"}}, new=None
    )
    await write(connection, executions=[moved])
    assert await get_workflow_execution(connection, **arguments) == msgspec.structs.replace(
        expected, status="retry"
    )
    stored = await connection.fetchrow("SELECT state, machine FROM workflow_execution")
    assert tuple(stored) == ("B", {"root": {"state": "B"}})
    ended = msgspec.structs.replace(moved, status="succeeded", machine=None, output={"sum": None}, ended=True)
    await write(connection, executions=[ended])
    assert await get_workflow_execution(connection, **arguments) == msgspec.structs.replace(
        expected, status="succeeded", output={"sum": None}, end_time=await now(connection)
    )
    assert await connection.fetchval("SELECT machine IS NULL FROM workflow_execution")


async def test_an_execution_can_end_in_the_statement_that_begins_it(
    connection: Connection, owner: OrganizationId
) -> None:
    change = ExecutionChange(
        organization_id=owner,
        id=RUN,
        status="succeeded",
        state="A",
        machine=None,
        output={"a": 1},
        ended=True,
        new=NewExecution(workflow_id=WORKFLOW, input={}, log_id=LOG, created_by=None),
    )
    await write(connection, executions=[change])
    stored = await connection.fetchrow("SELECT * FROM workflow_execution")
    assert (stored["status"], stored["output"], stored["machine"]) == ("succeeded", {"a": 1}, None)
    assert stored["start_time"] == stored["end_time"] == await now(connection)


@pytest.mark.parametrize("error", [None, {"message": "unreadable"}])
async def test_a_step_ends_with_its_result_and_without_its_timers(
    connection: Connection, owner: OrganizationId, error: dict[str, Any] | None
) -> None:
    other = TransitionExecutionId("other")
    await write(connection, steps=[step(owner), step(owner, id=other, job=None)])
    ended = EndedStep(
        organization_id=owner, id=STEP, status="rejected", output={"a": 1}, error=error, completed_by=ADA
    )
    await write(connection, ended_steps=[ended])
    rows = await connection.fetch("SELECT * FROM transition_execution ORDER BY id DESC")
    done, running = rows
    assert (done["status"], done["output"], done["error"]) == ("rejected", {"a": 1}, error)
    assert (done["completed_by"], done["end_time"]) == (ADA, await now(connection))
    assert (running["status"], running["end_time"]) == ("running", None)
    assert [(kind, subject) for kind, subject, *_ in await jobs(connection)] == [
        ("container", STEP),
        ("workflow-timer", other),
    ]


async def test_rows_of_another_organization_are_not_changed(
    connection: Connection, owner: OrganizationId, theirs: Tenant
) -> None:
    await insert(connection, "workflow_execution", organization_id=owner, id=RUN, workflow_id=WORKFLOW)
    await write(connection, steps=[step(owner, workflow_execution_id=RUN)])
    before = await jobs(connection)
    stranger = theirs.organization_id
    await write(
        connection,
        executions=[
            ExecutionChange(
                organization_id=stranger, id=RUN, status="failed", state="X", machine=None, ended=True
            )
        ],
        ended_steps=[
            EndedStep(
                organization_id=stranger, id=STEP, status="failed", output=None, error=None, completed_by=None
            )
        ],
    )
    assert await connection.fetchval("SELECT status FROM workflow_execution") == "running"
    assert await connection.fetchval("SELECT status FROM transition_execution") == "running"
    assert await jobs(connection) == before
    asked = {"organization_ids": [stranger], "execution_ids": [STEP]}
    assert await lock_executions_of_steps(connection, **asked) == []
    assert await lock_steps(connection, **asked) == []


async def test_lines_are_written_in_their_order_also_to_new_logs(
    connection: Connection, owner: OrganizationId
) -> None:
    log = NewLog(organization_id=owner, id=LOG, workflow_id=WORKFLOW, transition_execution_id=STEP)
    lines = [NewLine(owner, LOG, f"line {number}") for number in range(20)]
    await write(connection, logs=[log], lines=lines)
    await write(connection, lines=[NewLine(owner, LOG, "the last one")])
    rows = await connection.fetch("SELECT message FROM log_event ORDER BY id")
    assert [row["message"] for row in rows] == [*(line.message for line in lines), "the last one"]
    stored = await connection.fetchrow("SELECT * FROM log")
    assert (stored["workflow_id"], stored["transition_execution_id"]) == (WORKFLOW, STEP)
    assert (stored["transition_id"], stored["start_time"]) == (None, await now(connection))


async def test_timers_are_due_after_some_seconds_or_at_a_time(
    connection: Connection, owner: OrganizationId
) -> None:
    until = datetime(2040, 1, 1, tzinfo=UTC)
    timers = [("a", 0.5, None), ("b", None, until)]
    await write(
        connection,
        timers=[
            NewTimer(
                organization_id=owner,
                subject_id=SubjectId(name),
                payload={"key": ":1"},
                seconds=seconds,
                until=end,
            )
            for name, seconds, end in timers
        ],
    )
    time = await now(connection)
    assert await jobs(connection) == [
        ("workflow-timer", "a", {"key": ":1"}, time + timedelta(seconds=0.5), owner),
        ("workflow-timer", "b", {"key": ":1"}, until, owner),
    ]


async def test_what_was_used_is_added(connection: Connection, owner: OrganizationId) -> None:
    used = Used(organization_id=owner, month="2026-01", meter="user-minutes", amount=Decimal("0.1"))
    for _ in range(3):
        await write(connection, used=[used, msgspec.structs.replace(used, meter="other")])
    rows = await connection.fetch("SELECT used FROM usage_counter WHERE month = '2026-01'")
    assert [row["used"] for row in rows] == [Decimal("0.3"), Decimal("0.3")]


async def test_steps_are_locked_with_the_executions_that_they_are_steps_of(
    connection: Connection, owner: OrganizationId
) -> None:
    ids = [TransitionExecutionId(name) for name in ("a", "b", "c")]
    for name in ("run 1", "run 2"):
        values = {"organization_id": owner, "id": name, "workflow_id": WORKFLOW}
        await insert(connection, "workflow_execution", **values)
    runs = [WorkflowExecutionId("run 2"), WorkflowExecutionId("run 2"), None]
    await write(
        connection,
        steps=[
            step(owner, id=one, workflow_execution_id=run, job=None)
            for one, run in zip(ids, runs, strict=True)
        ],
    )
    asked = {"organization_ids": [owner] * 4, "execution_ids": [*ids, TransitionExecutionId("unknown")]}
    assert [row.id for row in await lock_executions_of_steps(connection, **asked)] == ["run 2"]
    rows = await lock_steps(connection, **asked)
    assert [(row.id, row.workflow_execution_id, row.organization_id) for row in rows] == [
        ("a", "run 2", owner),
        ("b", "run 2", owner),
        ("c", None, owner),
    ]
    assert {row.now for row in rows} == {await now(connection)}
