"""Steps whose workers report at the same time are ended by the same few statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
import httpx
import pytest

from db.statements import Statement
from pagemill.ids import OrganizationId, TransitionExecutionId
from pagemill.workflows.step_endings import ReportedStep, finish_steps
from pagemill.workflows.transition_executions import StepResult
from tests.support.flows import (
    again,
    create_transition,
    create_workflow,
    parallel,
    patch,
    start,
    steps_of,
    task,
)
from tests.support.seeds import used
from tests.support.tenants import Tenant


def reported(organization_id: str, step: dict[str, Any], **members: Any) -> ReportedStep:
    result = StepResult(**{"status": "succeeded", "output": {}, **members})
    return ReportedStep(OrganizationId(organization_id), TransitionExecutionId(step["executionId"]), result)


async def finish(pool: asyncpg.Pool, steps: Sequence[ReportedStep]) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await finish_steps(connection, steps)


async def started(
    api: httpx.AsyncClient, states: dict[str, Any], transition_id: str, number: int
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Start executions of a new workflow; return each with its step of a transition."""
    workflow_id = await create_workflow(api, states)
    executions = [await start(api, workflow_id, {"n": n}) for n in range(number)]
    return [(one, (await steps_of(api, one, transition_id))[-1]) for one in executions]


async def test_executions_go_on_each_by_itself(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    transition_id = await create_transition(api, "lambda")
    states = {
        "A": task(transition_id, "B", ResultPath="$.a", Retry=[]),
        "B": task(transition_id, ResultPath="$.b"),
    }
    some = await started(api, states, transition_id, 4)
    results = [
        {"output": {"x": 0}},
        {"output": {"x": 1}},
        {"status": "failed", "output": None, "message": "no"},
        {"status": "rejected", "output": None, "message": "not ours"},
    ]
    owner = organization.organization_id
    await finish(
        pool, [reported(owner, step, **result) for (_, step), result in zip(some, results, strict=True)]
    )
    found = [await again(api, execution) for execution, _ in some]
    assert [one["status"] for one in found] == ["running", "running", "failed", "rejected"]
    following = [(await steps_of(api, execution, transition_id))[-1]["input"] for execution, _ in some[:2]]
    assert following == [{"n": 0, "a": {"x": 0}}, {"n": 1, "a": {"x": 1}}]
    assert await used(pool, owner, "transition-executions") == 6


async def test_many_take_as_many_statements_as_one(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transition_id = await create_transition(api, "lambda")
    states = {"A": task(transition_id, "B"), "B": task(transition_id)}
    some = await started(api, states, transition_id, 6)
    names: list[str] = []
    run = Statement._run

    async def note(statement: Statement[..., Any], *arguments: Any) -> Any:
        names.append(statement.name)
        return await run(statement, *arguments)

    monkeypatch.setattr(Statement, "_run", note)
    owner = organization.organization_id
    await finish(pool, [reported(owner, some[0][1])])
    alone = names.copy()
    names.clear()
    await finish(pool, [reported(owner, step) for _, step in some[1:]])
    assert names == alone
    assert len(names) <= 5


async def test_a_plan_allows_exactly_its_units(
    limited_api: httpx.AsyncClient, pool: asyncpg.Pool, limited_organization: Tenant
) -> None:
    owner = limited_organization.organization_id
    transition_id = await create_transition(limited_api, "lambda")
    await _allow(pool, limited_organization, 6)
    states = {"A": task(transition_id, "B"), "B": task(transition_id)}
    some = await started(limited_api, states, transition_id, 4)
    await finish(pool, [reported(owner, step, output={"kept": True}) for _, step in some])
    found = [await again(limited_api, execution) for execution, _ in some]
    assert sorted(one["status"] for one in found) == ["failed", "failed", "running", "running"]
    for execution in found:
        steps = await steps_of(limited_api, execution, transition_id)
        assert (steps[0]["status"], steps[0]["output"]) == ("succeeded", {"kept": True})
        assert len(steps) == (2 if execution["status"] == "running" else 1)
        errors = [event["error"] for event in execution["events"]]
        assert errors == ([] if execution["status"] == "running" else ["Pagemill.LimitExceeded"])
    assert await used(pool, owner, "transition-executions") == 6


async def test_a_parallel_begins_all_its_tasks_or_fails_with_none(
    limited_api: httpx.AsyncClient, pool: asyncpg.Pool, limited_organization: Tenant
) -> None:
    owner = limited_organization.organization_id
    transition_id = await create_transition(limited_api, "lambda")
    await _allow(pool, limited_organization, 2)
    states = {
        "A": task(transition_id, "P"),
        "P": parallel({"B": task(transition_id)}, {"C": task(transition_id)}, End=True),
    }
    [(execution, step)] = await started(limited_api, states, transition_id, 1)
    await finish(pool, [reported(owner, step)])
    ended = await again(limited_api, execution)
    assert (ended["status"], ended["events"][0]["error"]) == ("failed", "Pagemill.LimitExceeded")
    assert ended["transitionExecutions"] == {transition_id: [step["executionId"]]}
    assert await used(pool, owner, "transition-executions") == 1


@pytest.mark.parametrize("configured", [False, True])
async def test_a_completed_task_is_queued_where_the_workflow_has_one(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, configured: bool
) -> None:
    transition_id = await create_transition(api, "lambda")
    config = {"completedConfig": {"imageUrl": "after:1"}} if configured else {}
    workflow_id = await create_workflow(api, {"A": task(transition_id)}, **config)
    executions = [await start(api, workflow_id) for _ in range(2)]
    steps = [(await steps_of(api, execution, transition_id))[0] for execution in executions]
    await finish(pool, [reported(organization.organization_id, step) for step in steps])
    assert [(await again(api, execution))["status"] for execution in executions] == ["succeeded"] * 2
    queued = await pool.fetch("SELECT subject_id FROM job WHERE kind = 'completed-task'")
    expected = {execution["executionId"] for execution in executions} if configured else set()
    assert {row["subject_id"] for row in queued} == expected


async def test_two_steps_of_an_execution_are_ended_one_after_the_other(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    a, b = await create_transition(api, "lambda"), await create_transition(api, "lambda")
    states = {"P": parallel({"A": task(a, ResultPath="$.a")}, {"B": task(b, ResultPath="$.b")}, End=True)}
    [(execution, first)] = await started(api, states, a, 1)
    [second] = await steps_of(api, execution, b)
    owner = organization.organization_id
    await finish(pool, [reported(owner, first, output={"x": 1}), reported(owner, second, output={"x": 2})])
    ended = await again(api, execution)
    assert ended["status"] == "succeeded"
    assert ended["output"]["results"] == [{"n": 0, "a": {"x": 1}}, {"n": 0, "b": {"x": 2}}]


async def test_a_step_that_ends_with_its_neighbour_has_no_result_of_its_own(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    a, b = await create_transition(api, "lambda"), await create_transition(api, "lambda")
    states = {"P": parallel({"A": task(a, Retry=[])}, {"B": task(b, Retry=[])}, End=True)}
    [(execution, first)] = await started(api, states, a, 1)
    [second] = await steps_of(api, execution, b)
    owner = organization.organization_id
    failure = {"status": "failed", "output": None}
    await finish(
        pool,
        [
            reported(owner, first, **failure, message="the first"),
            reported(owner, second, **failure, message="the second"),
        ],
    )
    ended = await again(api, execution)
    assert ended["status"] == "failed"
    assert len(ended["events"]) == 1
    found = [(await steps_of(api, execution, one))[0] for one in (a, b)]
    assert [one["status"] for one in found] == ["failed", "failed"]
    open_jobs = "SELECT count(*) FROM job WHERE state = 'queued' AND NOT cancel_requested"
    own = {step["executionId"].rpartition(":")[2] for step in (first, second)}
    # The worker of one has reported it, and its job ends with that; the other's job is cancelled.
    assert await pool.fetchval(open_jobs) == len(own) - 1


async def test_what_has_ended_or_stands_alone_does_not_disturb_others(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    owner = organization.organization_id
    transition_id = await create_transition(api, "lambda")
    (ended, ended_step), (execution, step) = await started(api, {"A": task(transition_id)}, transition_id, 2)
    await patch(api, ended_step, status="succeeded", output={"by": "a client"})
    response = await api.post(f"/v1/transitions/{transition_id}/executions", json={"input": {}})
    alone = response.json()
    unknown = {"executionId": "las:transition-execution:unknown"}
    await finish(
        pool,
        [reported(owner, one, output={"by": "its worker"}) for one in (ended_step, step, alone, unknown)],
    )
    assert (await again(api, ended))["output"] == {"by": "a client"}
    assert (await again(api, execution))["output"] == {"by": "its worker"}
    path = f"/v1/transitions/{transition_id}/executions/{alone['executionId']}"
    assert (await api.get(path)).json()["output"] == {"by": "its worker"}


async def _allow(pool: asyncpg.Pool, tenant: Tenant, amount: int) -> None:
    """Let the plan of an organization allow so many executions, of workflows and transitions."""
    limits = {"workflow-executions": 100, "transition-executions": amount}
    await pool.execute("UPDATE plan SET allowed = allowed || $1 WHERE id = $2", limits, tenant.plan_id)
