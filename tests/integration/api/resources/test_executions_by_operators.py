"""The operator lists executions of all organizations, tells one's story, tries it again and ends it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import httpx
import pytest
from click.testing import CliRunner, Result

from pagemill.cli import main
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import WorkflowExecutionId, new_id
from pagemill.workflows import execution_administration
from tests.support.flows import (
    again,
    claim,
    create_transition,
    create_workflow,
    ok,
    patch,
    start,
    succeed,
    task,
)
from tests.support.seeds import used
from tests.support.tenants import Tenant


async def run(database_url: str, *arguments: str) -> Result:
    """The command line, which has an event loop of its own; its lines are not wrapped."""
    environment = {"PAGEMILL_DATABASE_URL": database_url, "COLUMNS": "400"}
    return await asyncio.to_thread(CliRunner().invoke, main, ["executions", *arguments], env=environment)


async def reported(database_url: str, *arguments: str) -> Any:
    result = await run(database_url, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


async def listed(database_url: str, *arguments: str) -> list[str]:
    return [report["id"] for report in await reported(database_url, "list", *arguments)]


async def failing(
    api: httpx.AsyncClient, message: str = "no page 2", **workflow: Any
) -> tuple[dict[str, Any], str]:
    """Start an execution whose manual step fails; return it and the id of its transition."""
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(
        api, {"Check": task(transition_id, "Done"), "Done": {"Type": "Succeed"}}, **workflow
    )
    execution = await start(api, workflow_id, {"n": 1})
    step = await claim(api, transition_id)
    await ok(await patch(api, step, status="failed", error={"message": message}))
    return execution, transition_id


async def test_executions_are_listed_by_what_the_operator_asks_for(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient, pool: asyncpg.Pool, database_url: str
) -> None:
    failed = (await failing(api))[0]["executionId"]
    waits = (await failing(other_api, errorConfig={"manualRetry": True}, name="Theirs"))[0]
    old = (await failing(api))[0]["executionId"]
    await pool.execute("UPDATE workflow_execution SET start_time = '2024-05-01' WHERE id = $1", old)
    waiting = waits["executionId"]
    assert await listed(database_url) == [waiting, failed, old]
    assert await listed(database_url, "--limit", "1") == [waiting]
    assert await listed(database_url, "--status", "failed", "--status", "running") == [failed, old]
    assert await listed(database_url, "--since", "2024-05-02T10:00") == [waiting, failed]
    assert await listed(database_url, "--since", "2024-05-01", "--status", "failed") == [failed, old]
    assert await listed(database_url, "--workflow", waits["workflowId"]) == [waiting]
    (report,) = await reported(database_url, "list", "--status", "retry")
    assert await listed(database_url, "--organization", report["organizationId"]) == [waiting]
    assert (report["workflowName"], report["state"]) == ("Theirs", "Check")
    assert (report["error"], report["endTime"]) == ("States.TaskFailed: no page 2", None)
    table = await run(database_url, "list")
    assert table.output.splitlines()[0].split() == [
        *("execution", "organization", "workflow", "status", "state", "age", "error")
    ]
    assert f"{waiting} " in table.output
    assert "Theirs" in table.output


async def test_what_others_have_written_does_nothing_to_a_terminal(
    api: httpx.AsyncClient, database_url: str
) -> None:
    execution, _ = await failing(api, "\x1b[2J[bold]\r\n", name="[red]x[/] \x1b]0;title\x07")
    for arguments in (["list"], ["show", execution["executionId"]]):
        output = (await run(database_url, *arguments)).output
        assert "[red]x[/]" in output
        assert "[bold]" in output
        assert [one for one in output if not one.isprintable() and one != "\n"] == []


async def test_an_execution_is_told_from_its_beginning(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, database_url: str
) -> None:
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(api, {"Check": task(transition_id)}, name="Invoices")
    execution = await start(api, workflow_id)
    step = await claim(api, transition_id)
    path = f"/v1/transitions/{transition_id}/executions/{step['executionId']}"
    await ok(await api.post(f"{path}/release", json={"reason": "Not my customer"}))
    await claim(api, transition_id)
    for table, columns in (
        ("workflow_execution", ("start_time",)),
        ("transition_execution", ("created_time", "claimed_time", "start_time")),
    ):
        for column in columns:
            await pool.execute(f"UPDATE {table} SET {column} = {column} - interval '1 minute'")
    await pool.execute("UPDATE transition_execution SET created_time = created_time - interval '1 hour'")
    await ok(await patch(api, step, status="failed", error={"message": "no page 2"}))
    story = await reported(database_url, "show", execution["executionId"])
    assert (story["status"], story["error"]) == ("failed", "States.TaskFailed: no page 2")
    assert (story["createdBy"], story["organizationId"]) == (
        organization.app_client_id,
        organization.organization_id,
    )
    (told,) = story["steps"]
    assert (told["id"], told["state"], told["attempt"]) == (step["executionId"], "Check", 1)
    assert (told["transitionType"], told["status"], told["error"]) == ("manual", "failed", "no page 2")
    assert [(one["claimedBy"], one["ending"], one["reason"]) for one in told["formerClaims"]] == [
        (organization.app_client_id, "released", "Not my customer")
    ]
    assert 60 <= told["workingSeconds"] < 120
    assert 3600 <= told["waitingSeconds"] < 3660
    messages = [line["message"] for line in story["lastLines"]]
    assert f"Execution {execution['executionId']} of workflow {workflow_id} has started" in messages
    assert f"Ended by {organization.app_client_id}: failed: no page 2" in messages
    output = (await run(database_url, "show", execution["executionId"])).output
    assert "workflow_name    Invoices" in output
    shown = [line[21:] for line in output.splitlines() if line[:2] == "20"]
    by = organization.app_client_id
    for text in (
        f"started by {by}",
        f"Check: {step['executionId']} (manual)",
        f"Check: claim of {by} released: Not my customer",
        f"Check: claimed by {by}",
        "ended: failed",
    ):
        assert text in shown, output


async def test_a_failed_execution_is_tried_again_in_the_state_that_failed(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, database_url: str
) -> None:
    execution, transition_id = await failing(api, completedConfig={"imageUrl": "python"})
    failed = await again(api, execution)
    assert failed["status"] == "failed"
    story = await reported(database_url, "retry", execution["executionId"])
    assert (story["status"], story["state"], story["endTime"]) == ("running", "Check", None)
    step = await claim(api, transition_id)
    assert step["input"] == {"n": 1}
    await succeed(api, step, n=2)
    ended = await again(api, execution)
    assert (ended["status"], ended["output"]) == ("succeeded", {"n": 2})
    # What runs after an execution runs after each of its ends.
    assert ended["completedTaskLogId"] != failed["completedTaskLogId"]
    assert await pool.fetchval("SELECT count(*) FROM job WHERE kind = 'completed-task'") == 2
    assert [event["type"] for event in ended["events"]] == ["ExecutionFailed", "Retried"]
    assert len(ended["transitionExecutions"][transition_id]) == 2
    assert await used(pool, organization.organization_id, "workflow-executions") == 1
    assert await used(pool, organization.organization_id, "transition-executions") == 2


async def test_a_parallel_state_that_failed_is_tried_again_with_all_its_branches(
    api: httpx.AsyncClient, database_url: str
) -> None:
    left, right = await create_transition(api), await create_transition(api)
    branches = [
        {"StartAt": name, "States": {name: task(one)}} for name, one in (("Left", left), ("Right", right))
    ]
    both = {"Type": "Parallel", "Branches": branches, "ResultPath": "$.checked", "End": True}
    workflow_id = await create_workflow(api, {"First": {"Type": "Pass", "Next": "Both"}, "Both": both})
    execution = await start(api, workflow_id, {"n": 1})
    await succeed(api, await claim(api, left), n=2)
    await patch(api, await claim(api, right), status="failed", error={"message": "no page 2"})
    story = await reported(database_url, "retry", execution["executionId"])
    assert (story["status"], story["state"]) == ("running", "Both")
    for number, transition_id in enumerate((left, right)):
        step = await claim(api, transition_id)
        assert step["input"] == {"n": 1}
        await succeed(api, step, n=number)
    ended = await again(api, execution)
    assert (ended["status"], ended["output"]) == ("succeeded", {"n": 1, "checked": [{"n": 0}, {"n": 1}]})


async def test_what_fails_by_its_data_fails_again(api: httpx.AsyncClient, database_url: str) -> None:
    choice = {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 2, "Next": "Done"}]}
    workflow_id = await create_workflow(api, {"Choose": choice, "Done": {"Type": "Succeed"}})
    execution = await start(api, workflow_id, {"n": 1})
    story = await reported(database_url, "retry", execution["executionId"])
    assert (story["status"], story["state"]) == ("failed", "Choose")
    assert [event["type"] for event in story["events"]] == ["ExecutionFailed", "Retried", "ExecutionFailed"]


async def test_an_execution_that_waits_is_tried_again(api: httpx.AsyncClient, database_url: str) -> None:
    execution, transition_id = await failing(api, errorConfig={"manualRetry": True})
    assert (await reported(database_url, "retry", execution["executionId"]))["status"] == "running"
    await succeed(api, await claim(api, transition_id), n=2)
    assert (await again(api, execution))["status"] == "succeeded"


async def test_an_execution_is_cancelled_with_its_step(api: httpx.AsyncClient, database_url: str) -> None:
    transition_id = await create_transition(api)
    execution = await start(api, await create_workflow(api, {"Check": task(transition_id)}))
    step = await claim(api, transition_id)
    story = await reported(database_url, "cancel", execution["executionId"])
    assert (story["status"], story["steps"][0]["status"]) == ("failed", "failed")
    ended = await again(api, execution)
    assert ended["status"] == "failed"
    assert ended["endTime"] is not None
    (event,) = ended["events"]
    assert (event["type"], event["cause"]) == ("ExecutionFailed", "Ended by the operator")
    refused = await patch(api, step, status="succeeded", output={})
    assert refused.status_code == 400


async def test_what_cannot_be_done_is_refused(
    api: httpx.AsyncClient, pool: asyncpg.Pool, database_url: str
) -> None:
    execution, transition_id = await failing(api)
    running = await start(api, execution["workflowId"])
    unknown = new_id(WorkflowExecutionId)
    async with pool.acquire() as connection:
        with pytest.raises(BadRequest, match="has ended: its status is failed"):
            await execution_administration.cancel_execution(connection, execution["executionId"])
        with pytest.raises(BadRequest, match="its status is running"):
            await execution_administration.retry_execution(connection, running["executionId"])
        for work in (execution_administration.cancel_execution, execution_administration.retry_execution):
            with pytest.raises(NotFound, match="there is no execution"):
                await work(connection, unknown)
    missing = await run(database_url, "show", unknown)
    assert missing.exit_code == 1
    assert missing.stderr.startswith(f"pagemill: there is no execution {unknown}")
    await succeed(api, await claim(api, transition_id))
