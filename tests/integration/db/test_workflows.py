"""Transitions, workflows with the numbers of their executions, and logs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET

from db.logs import (
    LogRow,
    delete_logs_of_transition,
    delete_logs_of_workflow,
    delete_logs_of_workflow_execution,
    get_log,
    insert_log,
    insert_log_line,
    insert_log_lines,
    list_log_lines,
    list_logs,
)
from db.plan_limits import UNLIMITED
from db.statements import Connection
from db.transitions import (
    TransitionRow,
    delete_transition,
    find_workflow_with_transition,
    get_transition,
    insert_transition,
    keep_transition,
    keep_transitions,
    list_transitions,
)
from db.usage import WORKFLOW_METER_PREFIX, count_freely
from db.workflows import (
    delete_workflow,
    find_workflow_id,
    get_definition,
    get_workflow,
    insert_workflow,
    keep_workflow,
    list_workflows,
    lock_workflow,
    update_workflow,
)
from pagemill.ids import LogId, PrincipalId, TransitionId, WorkflowExecutionId, WorkflowId
from tests.support.everything import insert
from tests.support.tenants import Tenant, create_tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORKFLOW, TRANSITION, ADA = WorkflowId("las:workflow:1"), TransitionId("las:transition:1"), PrincipalId("ada")
DEFINITION = {"States": {"Review": {"Type": "Task", "Resource": TRANSITION}}}
MONTH = "2026-01"
NUMBERS: dict[str, Any] = {"month": MONTH, "development_allowance": 25}
PAGE: dict[str, Any] = {"after_time": None, "after_id": None, "limit": 10}


async def test_a_new_transition(connection: Connection, own: dict[str, Any]) -> None:
    row = await insert_transition(
        connection,
        **own,
        transition_id=TRANSITION,
        name="Review",
        description=None,
        transition_type="manual",
        parameters={"assets": {}},
        timeout_in_seconds=600,
        created_by=ADA,
    )
    now = await connection.fetchval("SELECT now()")
    assert row == TransitionRow(
        TRANSITION, "Review", None, "manual", {"assets": {}}, 600, now, ADA, None, None
    )
    assert await get_transition(connection, **own, transition_id=TRANSITION) == row


@pytest.mark.parametrize(
    ("transition_type", "parameters", "missing"),
    [
        ("docker", {}, "imageUrl"),
        ("docker", {"imageUrl": "image"}, None),
        ("docker", {"lambdaId": "lambda"}, "imageUrl"),
        ("lambda", {}, "lambdaId"),
        ("lambda", {"lambdaId": "lambda"}, None),
        ("manual", {}, None),
    ],
)
async def test_a_transition_tells_which_parameter_it_cannot_be_executed_without(
    connection: Connection,
    own: dict[str, Any],
    transition_type: str,
    parameters: dict[str, Any],
    missing: str | None,
) -> None:
    values = {"transition_type": transition_type, "parameters": parameters, "timeout_in_seconds": 60}
    await insert(connection, "transition", **own, id=TRANSITION, **values)
    row = await keep_transition(connection, **own, transition_id=TRANSITION)
    assert row is not None
    assert (row.transition_type, row.timeout_in_seconds, row.missing_parameter) == (
        transition_type,
        60,
        missing,
    )


async def test_transitions_are_listed_by_type_and_kept_by_id(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    for name, kind in (("c", "docker"), ("b", "manual"), ("a", "lambda")):
        await insert(connection, "transition", **own, id=name, transition_type=kind)
    foreign = {"organization_id": theirs.organization_id}
    await insert(connection, "transition", **foreign, id="theirs", transition_type="docker")
    for types, expected in ((None, ["a", "b", "c"]), (["docker", "lambda"], ["a", "c"]), ([], [])):
        rows = await list_transitions(connection, **own, transition_types=types, **PAGE)
        assert [row.id for row in rows] == expected
    ids = [TransitionId(name) for name in ("c", "theirs", "a", "unknown")]
    assert await keep_transitions(connection, **own, transition_ids=ids) == ["a", "c"]


@pytest.mark.parametrize(
    ("definition", "is_found"),
    [
        (DEFINITION, True),
        ({"States": {"First": {"Type": "Succeed"}, "Second": {"Resource": TRANSITION}}}, True),
        ({"States": {"P": {"Branches": [{"States": {}}, DEFINITION]}}}, True),
        ({"States": {"M": {"ItemProcessor": DEFINITION}}}, True),
        ({"States": {"Review": {"Resource": f"{TRANSITION}2"}}}, False),
        ({"States": {TRANSITION: {"Type": "Succeed"}}}, False),
        ({"Comment": TRANSITION, "States": {}}, False),
    ],
)
async def test_a_workflow_that_runs_a_transition_is_found(
    connection: Connection, own: dict[str, Any], definition: dict[str, Any], is_found: bool
) -> None:
    await insert(connection, "workflow", **own, id=WORKFLOW, definition=definition)
    found = await find_workflow_with_transition(connection, **own, transition_id=TRANSITION)
    assert found == (WORKFLOW if is_found else None)


async def test_a_transition_and_a_workflow_are_deleted_with_their_executions(
    connection: Connection, own: dict[str, Any]
) -> None:
    await insert(connection, "transition", **own, id=TRANSITION, transition_type="manual")
    await insert(connection, "transition_execution", **own, id="alone", transition_id=TRANSITION)
    await insert(connection, "workflow", **own, id=WORKFLOW, definition=DEFINITION)
    await insert(connection, "workflow_execution", **own, id="run", workflow_id=WORKFLOW)
    assert await delete_transition(connection, **own, transition_id=TRANSITION) == 1
    assert await delete_transition(connection, **own, transition_id=TRANSITION) == 0
    assert await delete_workflow(connection, **own, workflow_id=WORKFLOW) == 1
    assert await delete_workflow(connection, **own, workflow_id=WORKFLOW) == 0
    for table in ("transition_execution", "workflow_execution"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_a_new_workflow_does_not_show_its_definition(
    connection: Connection, own: dict[str, Any]
) -> None:
    row = await insert_workflow(
        connection,
        **own,
        workflow_id=WORKFLOW,
        name="Invoices",
        description=None,
        metadata=None,
        definition=DEFINITION,
        completed_config=None,
        error_config={"email": "ada@example.com"},
        email_config={"secretId": "s"},
        status="development",
        created_by=ADA,
        **NUMBERS,
    )
    assert not hasattr(row, "definition")
    assert (row.name, row.status, row.error_config) == (
        "Invoices",
        "development",
        {"email": "ada@example.com"},
    )
    assert (row.running, row.executions_created, row.executions_allowed) == (0, 0, 25)
    named = {**own, "workflow_id": WORKFLOW}
    assert await get_workflow(connection, **named, **NUMBERS) == row
    assert await find_workflow_id(connection, **named) == WORKFLOW
    start = await keep_workflow(connection, **named)
    assert start is not None
    assert (start.name, start.error_config, start.status) == (
        "Invoices",
        {"email": "ada@example.com"},
        "development",
    )
    assert await get_definition(connection, **named) == DEFINITION
    locked = await lock_workflow(connection, **named)
    assert locked is not None
    assert locked.email_config == {"secretId": "s"}


@pytest.mark.parametrize(
    ("status", "allowed", "expected"),
    [
        ("development", {}, 25),
        ("development", {"workflow-executions": 100}, 25),
        ("production", {"workflow-executions": 100}, 100),
        ("production", {}, UNLIMITED),
    ],
)
async def test_the_plan_allows_executions_of_workflows_in_production(
    connection: Connection, theirs: Tenant, status: str, allowed: dict[str, float], expected: int
) -> None:
    tenant = await create_tenant(connection, allowed=allowed)
    own = {"organization_id": tenant.organization_id}
    await insert(connection, "workflow", **own, id=WORKFLOW, status=status)
    for name, execution_status, organization_id in (
        ("a", "running", tenant.organization_id),
        ("b", "running", tenant.organization_id),
        ("c", "retry", tenant.organization_id),
        ("d", "running", theirs.organization_id),
    ):
        values = {"id": name, "workflow_id": WORKFLOW, "status": execution_status}
        await insert(connection, "workflow_execution", organization_id=organization_id, **values)
    meter = WORKFLOW_METER_PREFIX + WORKFLOW
    for organization_id, month, amount in (
        (tenant.organization_id, MONTH, 7),
        (tenant.organization_id, "2026-02", 1),
        (theirs.organization_id, MONTH, 9),
    ):
        counted = {"organization_id": organization_id, "month": month, "meter": meter}
        await count_freely(connection, **counted, amount=Decimal(amount))
    await count_freely(connection, **own, month=MONTH, meter=f"{meter}2", amount=Decimal(4))
    unchanged: dict[str, Any] = dict.fromkeys(("completed_config", "error_config"))
    unchanged |= dict.fromkeys(("name", "description", "metadata", "email_config", "status"), UNSET)
    named = {**own, "workflow_id": WORKFLOW, **NUMBERS}
    rows: list[Any] = [
        await get_workflow(connection, **named),
        *await list_workflows(connection, **own, **PAGE, **NUMBERS),
        await update_workflow(connection, **named, **unchanged, updated_by=ADA),
    ]
    numbers = [(row.running, row.executions_created, row.executions_allowed) for row in rows]
    assert numbers == [(2, 7, expected)] * 3


async def test_a_log_keeps_the_order_of_its_lines_and_shows_the_newest(
    connection: Connection, own: dict[str, Any]
) -> None:
    logs = [LogId("las:log:1"), LogId("las:log:2")]
    for log_id in logs:
        await insert_log(
            connection,
            **own,
            log_id=log_id,
            workflow_id=WORKFLOW,
            workflow_execution_id=None,
            transition_id=None,
            transition_execution_id=None,
        )
    for number in range(4):
        for log_id in logs:
            await insert_log_line(connection, **own, log_id=log_id, message=f"{number} of {log_id}")
    for log_id in logs:
        together = [f"{number} of {log_id}" for number in range(4, 6)]
        await insert_log_lines(connection, **own, log_id=log_id, messages=together)
    await insert_log_lines(connection, **own, log_id=LogId("las:log:deleted"), messages=["late"])
    # Lines of the same instant.
    await connection.execute("UPDATE log_event SET time = now()")
    now = await connection.fetchval("SELECT now()")
    row = await get_log(connection, **own, log_id=logs[0])
    assert row == LogRow(logs[0], WORKFLOW, None, None, None, now)
    for limit, expected in ((10, range(6)), (3, range(3, 6))):
        lines = await list_log_lines(connection, **own, log_id=logs[0], limit=limit)
        assert [line.message for line in lines] == [f"{number} of {logs[0]}" for number in expected]


LOGS = {
    "a": {"workflow_id": "w1", "workflow_execution_id": "we1"},
    "b": {"workflow_id": "w1", "workflow_execution_id": "we2"},
    "c": {
        "workflow_id": "w1",
        "workflow_execution_id": "we2",
        "transition_id": "t1",
        "transition_execution_id": "te1",
    },
    "d": {"transition_id": "t1", "transition_execution_id": "te2"},
    "e": {},
}


async def add_logs(connection: Connection, own: dict[str, Any]) -> None:
    for name, values in LOGS.items():
        await insert(connection, "log", **own, id=name, **values)
        await insert_log_line(connection, **own, log_id=LogId(name), message=name)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "abcde"),
        ({"workflow_id": "w1"}, "abc"),
        ({"workflow_execution_id": "we2"}, "bc"),
        ({"transition_id": "t1"}, "cd"),
        ({"transition_execution_id": "te2"}, "d"),
        ({"workflow_id": "w1", "transition_id": "t1"}, "c"),
        ({"workflow_id": "w1", "transition_execution_id": "te2"}, ""),
    ],
)
@pytest.mark.parametrize("order", ["ascending", "descending"])
async def test_a_log_has_to_meet_all_filters(
    connection: Connection, own: dict[str, Any], filters: dict[str, Any], expected: str, order: Any
) -> None:
    await add_logs(connection, own)
    every = ("workflow_id", "workflow_execution_id", "transition_id", "transition_execution_id")
    arguments = {**dict.fromkeys(every), **filters}
    rows = await list_logs(connection, order=order, **own, **arguments, **PAGE)
    assert [row.id for row in rows] == list(expected if order == "ascending" else reversed(expected))


@pytest.mark.parametrize(
    ("delete", "arguments", "left"),
    [
        (delete_logs_of_transition, {"transition_id": "t1"}, "abe"),
        (delete_logs_of_workflow, {"workflow_id": "w1"}, "de"),
        (delete_logs_of_workflow_execution, {"workflow_execution_id": WorkflowExecutionId("we2")}, "ade"),
    ],
)
async def test_logs_are_deleted_with_what_they_tell_of(
    connection: Connection, own: dict[str, Any], delete: Any, arguments: dict[str, Any], left: str
) -> None:
    await add_logs(connection, own)
    await delete(connection, **own, **arguments)
    for column, table in (("id", "log"), ("message", "log_event")):
        rows = await connection.fetchval(f"SELECT array_agg({column} ORDER BY {column}) FROM {table}")
        assert rows == list(left)
