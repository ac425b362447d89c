"""Logs through HTTP."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from db.logs import insert_log, insert_log_line
from pagemill.ids import LogId, TransitionExecutionId, TransitionId, WorkflowExecutionId, WorkflowId, new_id
from tests.support.queries import statements_run
from tests.support.tenants import Tenant


async def write(
    pool: asyncpg.Pool,
    tenant: Tenant,
    *lines: str,
    workflow_id: WorkflowId | None = None,
    workflow_execution_id: WorkflowExecutionId | None = None,
    transition_id: TransitionId | None = None,
    transition_execution_id: TransitionExecutionId | None = None,
) -> str:
    """Add a log with these lines and return its id."""
    log_id = new_id(LogId)
    async with pool.acquire() as connection:
        await insert_log(
            connection,
            organization_id=tenant.organization_id,
            log_id=log_id,
            workflow_id=workflow_id,
            workflow_execution_id=workflow_execution_id,
            transition_id=transition_id,
            transition_execution_id=transition_execution_id,
        )
        for line in lines:
            await insert_log_line(
                connection, organization_id=tenant.organization_id, log_id=log_id, message=line
            )
    return log_id


async def test_a_log_and_its_lines(api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant) -> None:
    workflow_id, execution_id = new_id(WorkflowId), new_id(WorkflowExecutionId)
    log_id = await write(
        pool, organization, "first", "second", workflow_id=workflow_id, workflow_execution_id=execution_id
    )
    log = (await api.get(f"/v1/logs/{log_id}")).json()
    assert log == {
        "logId": log_id,
        "startTime": log["startTime"],
        "workflowId": workflow_id,
        "workflowExecutionId": execution_id,
        "transitionId": None,
        "transitionExecutionId": None,
        "events": log["events"],
    }
    assert [event["message"] for event in log["events"]] == ["first", "second"]
    assert all(isinstance(event["timestamp"], float) for event in log["events"])
    assert 1_700_000_000 < log["events"][0]["timestamp"] <= log["events"][1]["timestamp"]


async def test_a_long_log_shows_its_newest_lines(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pagemill.api.resources.logs.SHOWN_LINES", 2)
    log_id = await write(pool, organization, "a", "b", "c")
    log = (await api.get(f"/v1/logs/{log_id}")).json()
    assert [event["message"] for event in log["events"]] == ["b", "c"]


async def test_logs_have_to_meet_all_filters(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    workflows = [new_id(WorkflowId) for _ in range(2)]
    transitions = [new_id(TransitionId) for _ in range(2)]
    executions = [new_id(WorkflowExecutionId) for _ in range(2)]
    steps = [new_id(TransitionExecutionId) for _ in range(4)]
    ids = [
        await write(
            pool,
            organization,
            workflow_id=workflows[number // 2],
            workflow_execution_id=executions[number // 2],
            transition_id=transitions[number % 2],
            transition_execution_id=steps[number],
        )
        for number in range(4)
    ]

    async def listed(**query: str) -> tuple[list[str], dict[str, Any]]:
        response = (await api.get("/v1/logs", params=query)).json()
        return [log["logId"] for log in response.pop("logs")], response

    assert await listed() == (ids, {"nextToken": None})
    for query, expected in (
        ({"workflowId": workflows[0]}, ids[:2]),
        ({"workflowExecutionId": executions[1]}, ids[2:]),
        ({"transitionId": transitions[0]}, [ids[0], ids[2]]),
        ({"transitionExecutionId": steps[3]}, [ids[3]]),
        ({"workflowId": workflows[0], "transitionId": transitions[1]}, [ids[1]]),
        ({"workflowId": workflows[0], "workflowExecutionId": executions[1]}, []),
    ):
        assert await listed(**query) == (expected, {"nextToken": None, **query})
    first, rest = await listed(order="descending", maxResults="3")
    second, last = await listed(order="descending", nextToken=rest["nextToken"])
    assert first + second == ids[::-1]
    assert (rest["order"], last["nextToken"]) == ("descending", None)
    for bad in ({"workflowId": "x"}, {"transitionId": "las:transition:x\n"}, {"order": "up"}):
        assert (await api.get("/v1/logs", params=bad)).status_code == 400
    with statements_run() as run:
        await listed()
    assert [name for name in run if name.startswith("logs.")] == ["logs.list_logs_ascending"]


async def test_foreign_logs_are_answered_like_unknown_ones(
    api: httpx.AsyncClient, pool: asyncpg.Pool, other_organization: Tenant
) -> None:
    foreign, unknown = await write(pool, other_organization, "theirs"), new_id(LogId)
    answers = [await api.get(f"/v1/logs/{identifier}") for identifier in (foreign, unknown)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content.replace(foreign.encode(), unknown.encode()) == answers[1].content
    assert (await api.get("/v1/logs")).json()["logs"] == []
