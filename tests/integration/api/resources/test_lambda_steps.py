"""Steps of lambda transitions call functions of the operator, each in a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from pagemill.errors import BadRequest
from pagemill.jobs.job_administration import retry_job
from pagemill.jobs.queue import request_cancel
from pagemill.objects import open_objects
from pagemill.secret_box import open_secret_box
from pagemill.settings import Settings
from pagemill.work.functions import FUNCTION, FunctionResources, FunctionRunner
from pagemill.work.kinds import KINDS
from pagemill.work.workflow_timers import WORKFLOW_TIMER, WorkflowTimerRunner
from pagemill.workflows.functions.mapping import FunctionMapping
from pagemill.workflows.functions.processes import FunctionProcesses
from pagemill.workflows.step_log import MOST_BYTES
from tests.support.flows import (
    again,
    create_transition,
    create_workflow,
    lines,
    ok,
    start,
    task,
)
from tests.support.working import dispatching, job_row, until, until_ended

PROGRAM = """
import os, sys, time

def total(data, environment):
    print("adding \\x00", file=sys.stderr)
    print("without an end", end="")
    return {"sum": sum(data["amounts"]), "environment": environment}

def fails(data, environment):
    raise ValueError("no luck")

def crashes(data, environment):
    os.abort()

def prints(data, environment):
    for number in range(300):
        print("x" * 20_000)
    return {}

def waits(data, environment):
    print("begun", flush=True)
    time.sleep(600)

def refuses(data, environment):
    return "not ours", "rejected"
"""
NAMES = ("total", "fails", "crashes", "prints", "waits", "refuses")


@pytest.fixture
async def runner(settings: Settings, pool: asyncpg.Pool, tmp_path: Path) -> AsyncIterator[FunctionRunner]:
    """A runner of the functions above, as a dispatcher has one."""
    (tmp_path / "steps.py").write_text(PROGRAM)
    listed = "\n".join(f'{name} = "steps:{name}"' for name in NAMES)
    commons = '[commons]\nTotal-2 = "steps:total"\n'
    (tmp_path / "functions.toml").write_text(f"[functions]\n{listed}\n{commons}")
    processes, objects = FunctionProcesses(), open_objects(settings)
    yield FunctionRunner(
        FunctionResources(
            settings=msgspec.structs.replace(settings, function_memory=0.5),
            pool=pool,
            objects=objects,
            secret_box=open_secret_box(settings),
            functions=FunctionMapping(tmp_path / "functions.toml"),
            function_processes=processes,
        )
    )
    await processes.close()
    await objects.close()


async def function(api: httpx.AsyncClient, name: str, **parameters: Any) -> str:
    """Create the transition of a function."""
    parameters = {"lambdaId": f"las:lambda:{name}:1", **parameters}
    return await create_transition(api, "lambda", parameters=parameters)


async def until_status(api: httpx.AsyncClient, execution: dict[str, Any], status: str) -> dict[str, Any]:
    async def is_there() -> bool:
        return bool((await again(api, execution))["status"] == status)

    await until(is_there)
    return await again(api, execution)


async def step_of(api: httpx.AsyncClient, execution: dict[str, Any], transition_id: str) -> dict[str, Any]:
    """Return the newest step that ran a transition."""
    step_id = (await again(api, execution))["transitionExecutions"][transition_id][-1]
    return await ok(await api.get(f"/v1/transitions/{transition_id}/executions/{step_id}"))


async def test_a_flow_of_functions_runs_to_its_end(
    api: httpx.AsyncClient, pool: asyncpg.Pool, runner: FunctionRunner
) -> None:
    secret = await ok(await api.post("/v1/secrets", json={"data": {"KEY": "s3cret", "NUMBER": 7}}))
    transition_id = await function(
        api, "total", environment={"A": "1", "KEY": "plain"}, environmentSecrets=[secret["secretId"]]
    )
    fails, refuses = await function(api, "fails"), await function(api, "refuses")
    large = {"Variable": "$.sum", "NumericGreaterThan": 100, "Next": "Refuse"}
    workflow_id = await create_workflow(
        api,
        {
            "Add": task(transition_id, "Judge"),
            "Judge": {"Type": "Choice", "Choices": [large], "Default": "Fail"},
            "Refuse": task(refuses),
            "Fail": task(fails, Retry=[{"ErrorEquals": ["LookupError"], "MaxAttempts": 3}]),
        },
    )
    async with dispatching(pool, runner, kinds=(FUNCTION,), poll=0.2):
        refused = await start(api, workflow_id, {"amounts": [60, 70]})
        failed = await start(api, workflow_id, {"amounts": [1, 2]})
        await until_status(api, refused, "rejected")
        await until_status(api, failed, "failed")

    step = await step_of(api, failed, transition_id)
    pairs = {pair["name"]: pair["value"] for pair in step["output"]["environment"]}
    assert (step["status"], step["output"]["sum"], step["completedBy"]) == ("succeeded", 3, None)
    assert pairs == {
        "TRANSITION_ID": transition_id,
        "EXECUTION_ID": step["executionId"],
        "A": "1",
        "KEY": "s3cret",
        "NUMBER": "7",
    }
    assert (await lines(api, step["logId"]))[1:] == [
        "adding \N{REPLACEMENT CHARACTER}",
        "without an end",
        "Ended: succeeded",
    ]
    [*_, event] = (await again(api, failed))["events"]
    assert (event["state"], event["error"]) == ("Fail", "ValueError")
    assert event["cause"].endswith("ValueError: no luck")
    told = await lines(api, (await step_of(api, failed, fails))["logId"])
    assert "ValueError: no luck" in told
    assert len((await again(api, failed))["transitionExecutions"][fails]) == 1


async def test_a_function_of_all_organizations_needs_no_transition(
    api: httpx.AsyncClient, pool: asyncpg.Pool, runner: FunctionRunner
) -> None:
    total, unknown = "las:transition:commons-Total-2", "las:transition:commons-unknown"
    workflow_id = await create_workflow(api, {"A": task(total, "B"), "B": task(unknown)})
    async with dispatching(pool, runner, kinds=(FUNCTION,)):
        ended = await until_status(api, await start(api, workflow_id, {"amounts": [1, 2]}), "failed")
    step = await step_of(api, ended, total)
    assert (step["status"], step["output"]["sum"], step["transitionId"]) == ("succeeded", 3, total)
    [*_, event] = ended["events"]
    assert (event["state"], event["error"]) == ("B", "Pagemill.FunctionMissing")
    assert "[commons]" in event["cause"]


async def test_what_an_operator_has_not_mapped_fails_at_once_and_says_how(
    api: httpx.AsyncClient, pool: asyncpg.Pool, runner: FunctionRunner
) -> None:
    transition_id = await function(api, "unknown")
    workflow_id = await create_workflow(api, {"A": task(transition_id)})
    async with dispatching(pool, runner, kinds=(FUNCTION,)):
        ended = await until_status(api, await start(api, workflow_id), "failed")
    [*_, event] = ended["events"]
    assert event["error"] == "Pagemill.FunctionMissing"
    assert "PAGEMILL_FUNCTIONS_FILE" in event["cause"]


async def test_a_crash_is_tried_again_when_the_task_says_so(
    api: httpx.AsyncClient, pool: asyncpg.Pool, runner: FunctionRunner
) -> None:
    transition_id = await function(api, "crashes")
    retry = {"ErrorEquals": ["Pagemill.FunctionCrashed"], "IntervalSeconds": 1, "MaxAttempts": 1}
    workflow_id = await create_workflow(api, {"A": task(transition_id, Retry=[retry])})
    neighbour = await create_workflow(api, {"A": task(await function(api, "total"))})
    timers = dispatching(pool, WorkflowTimerRunner(pool), kinds=(WORKFLOW_TIMER,))
    async with dispatching(pool, runner, kinds=(FUNCTION,)), timers:
        execution = await start(api, workflow_id)
        await until_status(api, await start(api, neighbour, {"amounts": [1]}), "succeeded")
        ended = await until_status(api, execution, "failed")
    assert len(ended["transitionExecutions"][transition_id]) == 2
    assert "it ended with SIGABRT" in ended["events"][-1]["cause"]


async def test_the_log_of_a_function_that_prints_without_end_is_cut(
    api: httpx.AsyncClient, pool: asyncpg.Pool, runner: FunctionRunner
) -> None:
    transition_id = await function(api, "prints")
    workflow_id = await create_workflow(api, {"A": task(transition_id)})
    async with dispatching(pool, runner, kinds=(FUNCTION,)):
        ended = await until_status(api, await start(api, workflow_id), "succeeded")
    step = await step_of(api, ended, transition_id)
    rows = await pool.fetch("SELECT message FROM log_event WHERE log_id = $1 ORDER BY id", step["logId"])
    messages = [row["message"] for row in rows]
    assert messages[1] == "x" * 16_384
    assert messages[2] == "x" * (20_000 - 16_384)
    assert messages[-2].endswith("the rest is not kept")
    assert MOST_BYTES * 0.9 < sum(map(len, messages)) < MOST_BYTES


async def test_a_step_that_somebody_else_ends_ends_its_function(
    api: httpx.AsyncClient, pool: asyncpg.Pool, runner: FunctionRunner
) -> None:
    transition_id = await function(api, "waits")
    workflow_id = await create_workflow(api, {"A": task(transition_id)})
    async with dispatching(pool, runner, kinds=(FUNCTION,)) as dispatcher:
        execution = await start(api, workflow_id)
        step = await step_of(api, execution, transition_id)

        async def has_begun() -> bool:
            return "begun" in await lines(api, step["logId"])

        await until(has_begun)
        [job] = dispatcher.running
        async with pool.acquire() as connection, connection.transaction():
            await request_cancel(
                connection, FUNCTION, organization_id=job.organization_id, subject_id=job.subject_id
            )
        assert await until_ended(pool, job.id) == ["cancelled"]
        assert not dispatcher.running
    ended = await until_status(api, execution, "failed")
    assert ended["events"][-1]["cause"] == "The job of the step was cancelled"


async def test_a_result_that_comes_too_late_changes_nothing(
    api: httpx.AsyncClient, pool: asyncpg.Pool, runner: FunctionRunner
) -> None:
    transition_id = await function(api, "total")
    workflow_id = await create_workflow(api, {"A": task(transition_id)})
    execution = await start(api, workflow_id, {"amounts": [1]})
    step = await step_of(api, execution, transition_id)
    path = f"/v1/transitions/{transition_id}/executions/{step['executionId']}"
    await ok(await api.patch(path, json={"status": "succeeded", "output": {"by": "a client"}}))
    job_id = await pool.fetchval("SELECT id FROM job WHERE kind = 'function'")
    assert await until_ended(pool, job_id) == ["cancelled"]
    await pool.execute("UPDATE job SET state = 'queued', cancel_requested = false, ended_time = NULL")
    async with dispatching(pool, runner, kinds=(FUNCTION,)):
        assert await until_ended(pool, job_id) == ["succeeded"]
    assert (await again(api, execution))["output"] == {"by": "a client"}


async def test_a_step_whose_workers_die_fails_as_lost(
    api: httpx.AsyncClient, pool: asyncpg.Pool, runner: FunctionRunner
) -> None:
    transition_id = await function(api, "waits")
    workflow_id = await create_workflow(api, {"A": task(transition_id, Retry=[])})
    execution = await start(api, workflow_id)
    job_id = await pool.fetchval("SELECT id FROM job WHERE kind = 'function'")
    # Both are away for so long that others take their job over.
    await pool.execute(
        """
        UPDATE job SET state = 'running', lease_owner = 'dead', lease_expires = now(), attempt = 2,
            lost_workers = 1
        """
    )
    async with dispatching(pool, runner, kinds=(FUNCTION,)):
        assert await until_ended(pool, job_id) == ["failed"]
    ended = await until_status(api, execution, "failed")
    assert ended["events"][-1]["error"] == "Pagemill.TaskLost"
    async with pool.acquire() as connection:
        with pytest.raises(BadRequest, match="there is nothing to try again"):
            await retry_job(connection, KINDS, job_id)
    assert (await job_row(pool, job_id))["state"] == "failed"
