"""Executions over time: waits, time-outs, heartbeats, branches, and what is left when they end."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from db.pool import acquire
from db.sql_migration import MIGRATIONS
from pagemill.jobs import leases, outcomes
from pagemill.jobs.queue import request_cancel
from pagemill.work.containers import CONTAINER
from pagemill.work.workflow_timers import WORKFLOW_TIMER, WorkflowTimerRunner
from pagemill.workflows.timers import fire_timer
from tests.support.flows import (
    again,
    claim,
    create_transition,
    create_workflow,
    lines,
    ok,
    parallel,
    patch,
    start,
    steps_of,
    succeed,
    task,
    wait,
)
from tests.support.seeds import used
from tests.support.tenants import Tenant
from tests.support.timers import let_pass, queued, shift_time
from tests.support.working import dispatching, until

NO_RETRY: list[Any] = []


async def beat(api: httpx.AsyncClient, step: dict[str, Any]) -> int:
    path = f"/v1/transitions/{step['transitionId']}/executions/{step['executionId']}/heartbeats"
    return (await api.post(path, json={})).status_code


async def jump(api: httpx.AsyncClient, execution: dict[str, Any], transition_id: str) -> dict[str, Any]:
    path = f"/v1/workflows/{execution['workflowId']}/executions/{execution['executionId']}"
    return await ok(await api.patch(path, json={"nextTransitionId": transition_id}))


async def running(api: httpx.AsyncClient, execution: dict[str, Any]) -> int:
    workflow = await ok(await api.get(f"/v1/workflows/{execution['workflowId']}"))
    return int(workflow["numberOfRunningExecutions"])


async def error_of(api: httpx.AsyncClient, execution: dict[str, Any]) -> tuple[str, str]:
    ended = await again(api, execution)
    return ended["status"], ended["events"][-1]["error"]


async def assert_late(api: httpx.AsyncClient, step: dict[str, Any]) -> None:
    """A worker that reports after its step has ended changes nothing."""
    for body in ({"status": "succeeded", "output": {}}, {"status": "failed"}, {"startTime": "2024-01-01"}):
        assert (await patch(api, step, **body)).status_code == 400
    assert await beat(api, step) == 400


async def test_a_wait_goes_on_when_its_time_has_come(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(api, {"W": wait(60, "A"), "A": task(transition_id)})
    execution = await start(api, workflow_id, {"n": 1})
    assert (execution["status"], execution["transitionExecutions"]) == ("running", {})
    assert await running(api, execution) == 1
    assert await let_pass(pool, 50) == 0
    assert (await again(api, execution))["transitionExecutions"] == {}
    assert await let_pass(pool, 10) == 1
    await succeed(api, await claim(api, transition_id), n=2)
    ended = await again(api, execution)
    assert (ended["status"], ended["output"], await running(api, execution)) == ("succeeded", {"n": 2}, 0)
    assert "State W: waits for 60 s" in await lines(api, execution["logId"])
    assert await queued(pool) == []


async def test_a_dispatcher_fires_timers_when_they_are_due(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    """It looks for jobs by itself once a minute, and so would be late without knowing the next timer."""
    past = {"Type": "Wait", "Timestamp": "2024-01-01T00:00:00Z", "Next": "W"}
    workflow_id = await create_workflow(api, {"P": past, "W": wait(1)})
    async with dispatching(pool, WorkflowTimerRunner(pool), kinds=(WORKFLOW_TIMER,)):
        executions = [await start(api, workflow_id, {"n": number}) for number in range(3)]

        async def have_ended() -> bool:
            return {(await again(api, one))["status"] for one in executions} == {"succeeded"}

        await until(have_ended)


async def test_a_step_that_times_out_is_tried_again_until_its_retry_is_used_up(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    transition_id = await create_transition(api, "docker", timeoutInSeconds=90)
    execution = await start(api, await create_workflow(api, {"A": task(transition_id)}), {"n": 1})
    for attempt in range(1, 5):
        [*_, step] = await steps_of(api, execution, transition_id)
        assert (step["status"], step["input"]) == ("running", {"n": 1})
        assert await let_pass(pool, 80) == 0
        assert await let_pass(pool, 11) == 1
        assert len(await steps_of(api, execution, transition_id)) == min(attempt + 1, 4)
        await assert_late(api, step)
        await let_pass(pool, 2**attempt)
    steps = await steps_of(api, execution, transition_id)
    assert [step["status"] for step in steps] == ["failed"] * 4
    assert await error_of(api, execution) == ("failed", "States.Timeout")
    assert await queued(pool) == []


async def test_a_time_out_is_caught(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    first, second = await create_transition(api, "lambda"), await create_transition(api)
    catch = [
        {"ErrorEquals": ["States.TaskFailed"], "Next": "A"},
        {"ErrorEquals": ["States.Timeout"], "Next": "B", "ResultPath": "$.error"},
    ]
    states = {
        "A": task(first, TimeoutSeconds=30, Retry=NO_RETRY, Catch=catch),
        "B": task(second),
    }
    execution = await start(api, await create_workflow(api, states), {"n": 1})
    [step] = await steps_of(api, execution, first)
    assert len(await queued(pool, "function")) == 1
    await let_pass(pool, 31)
    assert await queued(pool, "function") == []
    caught = await claim(api, second)
    assert (caught["input"]["n"], caught["input"]["error"]["Error"]) == (1, "States.Timeout")
    await assert_late(api, step)
    await succeed(api, caught)
    assert (await again(api, execution))["status"] == "succeeded"


async def test_a_delayed_step_is_queued_once_when_it_is_due(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    transition_id = await create_transition(api, "lambda", timeoutInSeconds=90)
    retry = [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 30, "MaxAttempts": 1}]
    execution = await start(api, await create_workflow(api, {"A": task(transition_id, Retry=retry)}))
    [first] = await steps_of(api, execution, transition_id)
    await patch(api, first, status="failed")
    assert await queued(pool, "function") == []
    [_, second] = await steps_of(api, execution, transition_id)
    [timer] = await queued(pool)
    assert await let_pass(pool, 20) == 0
    assert await let_pass(pool, 10) == 1
    for _ in "twice":
        async with acquire(pool) as connection, connection.transaction():
            await fire_timer(connection, organization.organization_id, timer["subject_id"], timer["payload"])
    [job] = await queued(pool, "function")
    assert job["subject_id"] == second["executionId"]
    await let_pass(pool, 91)
    assert await error_of(api, execution) == ("failed", "States.Timeout")
    assert (await queued(pool), await queued(pool, "function")) == ([], [])


async def test_heartbeats_keep_a_step_alive_and_their_end_ends_it(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    transition_id = await create_transition(api, "docker")
    states = {"A": task(transition_id, HeartbeatSeconds=30, Retry=NO_RETRY)}
    execution = await start(api, await create_workflow(api, states))
    [step] = await steps_of(api, execution, transition_id)
    for _ in range(4):
        await let_pass(pool, 20)
        assert await beat(api, step) == 204
    await let_pass(pool, 20)
    assert (await again(api, execution))["status"] == "running"
    await let_pass(pool, 11)
    assert await error_of(api, execution) == ("failed", "States.HeartbeatTimeout")
    await assert_late(api, step)


async def test_a_claim_that_has_lapsed_is_ended_when_its_state_wants_heartbeats(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    """Its timer fires while the claim has lapsed already, and the heartbeat is not missed yet."""
    transition_id = await create_transition(api)
    states = {"A": task(transition_id, HeartbeatSeconds=200, TimeoutSeconds=600, Retry=NO_RETRY)}
    execution = await start(api, await create_workflow(api, states))
    step = await claim(api, transition_id)
    await let_pass(pool, 60)
    assert await beat(api, step) == 204
    assert await let_pass(pool, 150) == 1
    assert (await again(api, execution))["status"] == "running"
    assert await let_pass(pool, 60) == 1
    assert await error_of(api, execution) == ("failed", "States.HeartbeatTimeout")
    assert await queued(pool) == []


async def test_a_claim_that_has_lapsed_does_not_time_out(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    transition_id = await create_transition(api)
    execution = await start(api, await create_workflow(api, {"A": task(transition_id, TimeoutSeconds=600)}))
    step = await claim(api, transition_id)
    await let_pass(pool, 601)
    assert (await again(api, execution))["status"] == "running"
    assert (await claim(api, transition_id))["executionId"] == step["executionId"]
    assert len(await queued(pool)) == 1
    await succeed(api, step, n=1)
    assert (await again(api, execution))["output"] == {"n": 1}
    assert await queued(pool) == []


async def test_a_claim_that_is_kept_for_too_long_times_out(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    transition_id = await create_transition(api)
    execution = await start(
        api, await create_workflow(api, {"A": task(transition_id, TimeoutSeconds=100)}), {"n": 1}
    )
    step = await claim(api, transition_id)
    for _ in range(2):
        await let_pass(pool, 40)
        assert await beat(api, step) == 204
    await let_pass(pool, 21)
    await assert_late(api, step)
    retried = await claim(api, transition_id)
    assert (retried["input"], retried["executionId"] != step["executionId"]) == ({"n": 1}, True)
    assert (await again(api, execution))["status"] == "running"


async def test_branches_run_side_by_side_and_are_joined(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    a, b = await create_transition(api, "docker"), await create_transition(api)
    states = {"P": parallel({"A": task(a)}, {"B": task(b)}, {"W": wait(60)}, End=True)}
    execution = await start(api, await create_workflow(api, states), {"n": 1})
    await succeed(api, await claim(api, b), of="b")
    [step] = await steps_of(api, execution, a)
    await succeed(api, step, of="a")
    assert (await again(api, execution))["status"] == "running"
    await let_pass(pool, 60)
    ended = await again(api, execution)
    assert ended["output"] == {"n": 1, "results": [{"of": "a"}, {"of": "b"}, {"n": 1}]}
    assert await queued(pool) == []


@pytest.mark.parametrize("caught", [False, True])
async def test_a_branch_that_fails_ends_its_neighbours(
    api: httpx.AsyncClient, pool: asyncpg.Pool, caught: bool
) -> None:
    a, b, c, after = [await create_transition(api, one) for one in ("docker", "lambda", "manual", "manual")]
    catch = {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "After"}]} if caught else {}
    states = {
        "P": parallel({"A": task(a)}, {"B": task(b)}, {"C": task(c)}, {"W": wait(60)}, End=True, **catch),
        "After": task(after),
    }
    execution = await start(api, await create_workflow(api, states))
    claimed = await claim(api, c)
    [failing], [neighbour] = await steps_of(api, execution, a), await steps_of(api, execution, b)
    assert len(await queued(pool, "function")) == 1
    await patch(api, failing, status="failed", error={"message": "no page"})
    for step in (neighbour, claimed):
        path = f"/v1/transitions/{step['transitionId']}/executions/{step['executionId']}"
        assert (await ok(await api.get(path)))["status"] == "failed"
        await assert_late(api, step)
    assert (await queued(pool), await queued(pool, "function")) == ([], [])
    if caught:
        await succeed(api, await claim(api, after))
        assert (await again(api, execution))["status"] == "succeeded"
    else:
        assert await error_of(api, execution) == ("failed", "States.TaskFailed")


async def test_a_job_that_is_cancelled_begins_no_other_container(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    """A task without Retry is tried again when its worker is lost, not when somebody has ended it."""
    transition_id = await create_transition(api, "docker")
    execution = await start(api, await create_workflow(api, {"A": task(transition_id)}))
    [step] = await steps_of(api, execution, transition_id)
    async with pool.acquire() as connection:
        await request_cancel(
            connection,
            CONTAINER,
            organization_id=organization.organization_id,
            subject_id=step["executionId"],
        )
    assert await error_of(api, execution) == ("failed", "States.TaskFailed")
    assert len(await steps_of(api, execution, transition_id)) == 1


async def test_items_are_worked_on_side_by_side(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    transition_id = await create_transition(api)
    iteration = {"StartAt": "A", "States": {"A": task(transition_id)}}
    states = {
        "M": {
            **{"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": iteration, "MaxConcurrency": 2},
            **{"ResultPath": "$.results", "End": True},
        }
    }
    execution = await start(
        api, await create_workflow(api, states), {"items": [{"n": number} for number in range(3)]}
    )
    first, second = [await claim(api, transition_id) for _ in range(2)]
    assert (await api.post(f"/v1/transitions/{transition_id}/executions", json={})).status_code == 404
    await succeed(api, second, of=second["input"])
    third = await claim(api, transition_id)
    assert third["input"] == {"n": 2}
    await succeed(api, third, of=third["input"])
    await succeed(api, first, of=first["input"])
    ended = await again(api, execution)
    assert ended["status"] == "succeeded"
    assert ended["output"]["results"] == [{"of": {"n": number}} for number in range(3)]
    assert len(ended["transitionExecutions"][transition_id]) == 3


async def test_an_execution_without_a_workflow_times_out(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    transition_id = await create_transition(api, "lambda", timeoutInSeconds=90)
    step = await claim(api, transition_id)
    assert await let_pass(pool, 80) == 0
    await let_pass(pool, 11)
    path = f"/v1/transitions/{transition_id}/executions/{step['executionId']}"
    assert (await ok(await api.get(path)))["status"] == "failed"
    await assert_late(api, step)
    assert (await queued(pool), await queued(pool, "function")) == ([], [])
    assert (await lines(api, step["logId"]))[-1] == "Ended: failed: It has timed out"


@pytest.mark.parametrize("deleted", ["execution", "transition"])
async def test_nothing_of_a_deleted_execution_is_left(
    api: httpx.AsyncClient, pool: asyncpg.Pool, deleted: str
) -> None:
    transition_id = await create_transition(api, "lambda")
    if deleted == "execution":
        states = {"P": parallel({"A": task(transition_id)}, {"W": wait(60)}, End=True)}
        execution = await start(api, await create_workflow(api, states))
        path = f"/v1/workflows/{execution['workflowId']}/executions/{execution['executionId']}"
    else:
        await claim(api, transition_id)
        path = f"/v1/transitions/{transition_id}"
    assert len(await queued(pool, "function")) == 1
    assert await queued(pool)
    await ok(await api.delete(path))
    assert (await queued(pool), await queued(pool, "function")) == ([], [])
    assert await pool.fetchval("SELECT count(*) FROM transition_execution") == 0


async def test_going_on_elsewhere_ends_what_was_waited_for(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    a, b = await create_transition(api, "lambda"), await create_transition(api)
    states = {"P": parallel({"A": task(a)}, {"W": wait(60)}, Next="B"), "B": task(b)}
    execution = await start(api, await create_workflow(api, states), {"n": 1})
    [step] = await steps_of(api, execution, a)
    assert (await jump(api, execution, b))["status"] == "running"
    await assert_late(api, step)
    assert (await queued(pool), await queued(pool, "function")) == ([], [])
    await succeed(api, await claim(api, b), n=2)
    assert (await again(api, execution))["output"] == {"n": 2}


async def test_an_execution_that_timed_out_waits_for_a_person_who_decides(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    transition_id = await create_transition(api, "docker", timeoutInSeconds=90)
    workflow_id = await create_workflow(
        api, {"A": task(transition_id, Retry=NO_RETRY)}, errorConfig={"manualRetry": True}
    )
    execution = await start(api, workflow_id, {"n": 1})
    await let_pass(pool, 91)
    assert await error_of(api, execution) == ("retry", "States.Timeout")
    assert (await queued(pool), await running(api, execution)) == ([], 0)
    assert (await jump(api, execution, transition_id))["status"] == "running"
    [_, step] = await steps_of(api, execution, transition_id)
    await succeed(api, step, n=2)
    assert (await again(api, execution))["output"] == {"n": 2}


async def make_old(pool: asyncpg.Pool) -> None:
    """Leave of the executions what the release before has kept of them."""
    await pool.execute("UPDATE workflow_execution SET machine = NULL")
    await pool.execute(
        "UPDATE transition_execution SET key = NULL, timeout_in_seconds = NULL, running_since = NULL"
    )
    await pool.execute("DELETE FROM job")


async def test_executions_of_the_release_before_go_on(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    a, b = await create_transition(api), await create_transition(api)
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 2}]
    workflow_id = await create_workflow(api, {"A": task(a, "B", Retry=retry), "B": task(b)})
    execution = await start(api, workflow_id, {"n": 1})
    # Its second attempt is the last one that the release before began.
    await patch(api, await claim(api, a), status="failed")
    await make_old(pool)
    await patch(api, await claim(api, a), status="failed")
    step = await claim(api, a)
    assert step["input"] == {"n": 1}
    await make_old(pool)
    await succeed(api, step, n=2)
    await make_old(pool)
    step = await claim(api, b)
    assert step["input"] == {"n": 2}
    assert (await jump(api, execution, a))["status"] == "running"
    await succeed(api, await claim(api, a), n=3)
    await succeed(api, await claim(api, b), n=4)
    assert (await again(api, execution))["output"] == {"n": 4}


async def test_steps_of_the_release_before_time_out(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    docker, manual = await create_transition(api, "docker", timeoutInSeconds=90), await create_transition(api)
    states = {"P": parallel({"A": task(docker)}, {"B": task(manual)}, End=True)}
    execution = await start(api, await create_workflow(api, states))
    await make_old(pool)
    migration = (MIGRATIONS / "add_workflow_timers.sql").read_text()
    start_timers = migration.partition("INSERT INTO job")
    await pool.execute("".join(start_timers[1:]).partition(";")[0])
    [timer] = await queued(pool)
    [step] = await steps_of(api, execution, docker)
    assert timer["subject_id"] == step["executionId"]
    await shift_time(pool, 91)
    await assert_late(api, step)


async def test_a_failed_execution_of_the_release_before_goes_on(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    a, b = await create_transition(api), await create_transition(api)
    workflow_id = await create_workflow(
        api, {"A": task(a, "B"), "B": task(b)}, errorConfig={"manualRetry": True}
    )
    execution = await start(api, workflow_id, {"n": 1})
    await succeed(api, await claim(api, a), n=2)
    await patch(api, await claim(api, b), status="failed")
    await make_old(pool)
    await jump(api, execution, b)
    step = await claim(api, b)
    assert step["input"] == {"n": 2}
    await succeed(api, step, n=3)
    assert (await again(api, execution))["output"] == {"n": 3}


async def test_a_process_of_the_release_before_may_move_an_execution(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    """It leaves the machine where it was, and its step has no key."""
    a, b, c = [await create_transition(api) for _ in "abc"]
    workflow_id = await create_workflow(api, {"A": task(a, "B"), "B": task(b, "C"), "C": task(c)})
    execution = await start(api, workflow_id)
    machine = await pool.fetchval("SELECT machine FROM workflow_execution")
    await succeed(api, await claim(api, a), n=1)
    await pool.execute("UPDATE workflow_execution SET machine = $1", machine)
    await pool.execute("UPDATE transition_execution SET key = NULL WHERE transition_id = $1", b)
    await succeed(api, await claim(api, b), n=2)
    await succeed(api, await claim(api, c), n=3)
    ended = await again(api, execution)
    assert ended["output"] == {"n": 3}
    assert [len(ids) for ids in ended["transitionExecutions"].values()] == [1, 1, 1]


async def test_a_timer_that_fires_several_times_and_late_changes_nothing_more(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    a, b = await create_transition(api, "docker", timeoutInSeconds=90), await create_transition(api)
    catch = [{"ErrorEquals": ["States.Timeout"], "Next": "W"}]
    states = {
        "A": task(a, Retry=NO_RETRY, Catch=catch, ResultPath=None),
        "W": wait(60, "B"),
        "B": task(b),
    }
    execution = await start(api, await create_workflow(api, states))

    async def fire(timer: dict[str, Any]) -> None:
        async with acquire(pool) as connection, connection.transaction():
            await fire_timer(connection, organization.organization_id, timer["subject_id"], timer["payload"])

    [timer] = await queued(pool)
    await fire(timer)
    assert len(await queued(pool)) == 1, "it was too early"
    for seconds in (91, 60):
        [timer] = await queued(pool)
        await shift_time(pool, seconds)
        await asyncio.gather(*(fire(timer) for _ in range(4)))
    await fire(timer)
    ended = await again(api, execution)
    assert [len(ids) for ids in ended["transitionExecutions"].values()] == [1, 1]
    assert ended["status"] == "running"


async def test_a_result_and_a_time_out_at_the_same_time(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    a, b = await create_transition(api, "docker", timeoutInSeconds=90), await create_transition(api)
    catch = [{"ErrorEquals": ["States.Timeout"], "Next": "B"}]
    workflow_id = await create_workflow(api, {"A": task(a, "B", Retry=NO_RETRY, Catch=catch), "B": task(b)})
    for _ in range(5):
        execution = await start(api, workflow_id)
        [step] = await steps_of(api, execution, a)
        late, _ = await asyncio.gather(patch(api, step, status="succeeded", output={}), let_pass(pool, 91))
        assert late.status_code in (200, 400)
        assert len(await steps_of(api, execution, b)) == 1


async def test_the_minutes_of_running_steps_of_production_are_counted(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    docker, manual = await create_transition(api, "docker", timeoutInSeconds=90), await create_transition(api)
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 600, "BackoffRate": 1}]
    states = {"W": wait(3600, "A"), "A": task(docker, "B", Retry=retry), "B": task(manual)}

    async def counted() -> float:
        return await used(pool, organization.organization_id, "production-workflow-minutes")

    execution = await start(api, await create_workflow(api, states, status="production"))
    await let_pass(pool, 3600)
    assert await counted() == 0
    # The timer is late: the step ran for as long as it was allowed to.
    await let_pass(pool, 300)
    assert await counted() == pytest.approx(1.5, abs=0.001)
    await let_pass(pool, 600)
    await let_pass(pool, 45)
    [_, step] = await steps_of(api, execution, docker)
    await patch(api, step, status="failed")
    assert await counted() == pytest.approx(2.25, abs=0.05)
    await let_pass(pool, 600)
    await let_pass(pool, 30)
    [*_, step] = await steps_of(api, execution, docker)
    await patch(api, step, startTime="2020-01-01")
    await succeed(api, step)
    assert await counted() == pytest.approx(2.75, abs=0.1)
    await let_pass(pool, 7200)
    step = await claim(api, manual)
    await let_pass(pool, 30)
    await succeed(api, step)
    assert await counted() == pytest.approx(3.25, abs=0.15)
    assert (await again(api, execution))["status"] == "succeeded"


async def test_a_timer_that_cannot_be_fired_fails_its_execution(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    transition_id = await create_transition(api, "docker", timeoutInSeconds=60)
    for states in ({"W": wait(0)}, {"A": task(transition_id, TimeoutSeconds=1)}):
        execution = await start(api, await create_workflow(api, states))
        await pool.execute("UPDATE job SET run_after = now()")
        async with pool.acquire() as connection:
            [job] = await leases.claim(connection, WORKFLOW_TIMER, owner="test", lease=60.0, limit=5)
            assert await outcomes.fail(connection, WORKFLOW_TIMER, job, RuntimeError("broken"))
        assert await error_of(api, execution) == ("failed", "States.Runtime")
