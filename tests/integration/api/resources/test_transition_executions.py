"""Executions of transitions through HTTP: claims, heartbeats, results."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from pagemill.api.resources.transition_executions import DATA_BYTES
from pagemill.ids import LogId, TransitionExecutionId, TransitionId, new_id
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
from tests.support.queries import statements_run
from tests.support.seeds import used
from tests.support.tenants import Tenant


async def beat(api: httpx.AsyncClient, step: dict[str, Any]) -> httpx.Response:
    path = f"/v1/transitions/{step['transitionId']}/executions/{step['executionId']}/heartbeats"
    return await api.post(path, json={})


async def age(pool: asyncpg.Pool, step: dict[str, Any], column: str, seconds: int) -> None:
    """Move a time of an execution into the past."""
    await pool.execute(
        f"UPDATE transition_execution SET {column} = {column} - make_interval(secs => $2) WHERE id = $1",
        step["executionId"],
        seconds,
    )


async def waiting(api: httpx.AsyncClient, count: int = 1, **members: Any) -> str:
    """Create a manual transition with executions that wait; return its id."""
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(api, {"A": task(transition_id, **members)})
    for number in range(count):
        await start(api, workflow_id, {"n": number})
    return transition_id


async def test_claims_are_made_in_order(api: httpx.AsyncClient) -> None:
    transition_id = await waiting(api, 3)
    [first, *_] = (await ok(await api.get(f"/v1/transitions/{transition_id}/executions")))["executions"]
    assert first["startTime"] is None
    claimed = [await claim(api, transition_id) for _ in range(3)]
    assert [step["input"]["n"] for step in claimed] == [0, 1, 2]
    assert claimed[0] == {
        "executionId": claimed[0]["executionId"],
        "transitionId": transition_id,
        "status": "running",
        "input": {"n": 0},
        "output": None,
        "completedBy": None,
        "logId": claimed[0]["logId"],
        "startTime": claimed[0]["startTime"],
        "endTime": None,
    }
    assert claimed[0]["startTime"] is not None
    empty = await api.post(f"/v1/transitions/{transition_id}/executions", json={})
    assert empty.status_code == 404
    assert transition_id in empty.json()["message"]


async def test_no_execution_is_claimed_twice(api: httpx.AsyncClient) -> None:
    transition_id = await waiting(api, 4)
    answers = await asyncio.gather(
        *(api.post(f"/v1/transitions/{transition_id}/executions", json={}) for _ in range(8))
    )
    claimed = [answer.json()["executionId"] for answer in answers if answer.is_success]
    assert len(claimed) == len(set(claimed)) <= 4
    # One that another claim held at that moment was passed over: it still waits.
    left = [await claim(api, transition_id) for _ in range(4 - len(claimed))]
    assert len({*claimed, *(step["executionId"] for step in left)}) == 4


async def test_a_claim_holds_while_heartbeats_come(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    transition_id = await waiting(api)
    path = f"/v1/transitions/{transition_id}/executions"
    step = await claim(api, transition_id)
    await age(pool, step, "heartbeat_time", 59)
    assert (await beat(api, step)).status_code == 204
    await age(pool, step, "heartbeat_time", 59)
    assert (await api.post(path, json={})).status_code == 404
    await age(pool, step, "heartbeat_time", 2)
    assert (await claim(api, transition_id))["executionId"] == step["executionId"]
    assert (await api.post(path, json={})).status_code == 404


async def test_an_execution_can_be_ended_after_its_claim_has_lapsed(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    transition_id = await waiting(api)
    step = await claim(api, transition_id)
    await age(pool, step, "heartbeat_time", 300)
    await succeed(api, step, a=1)
    assert (await api.post(f"/v1/transitions/{transition_id}/executions", json={})).status_code == 404


async def test_an_execution_that_timed_out_cannot_be_changed(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    transition_id = await waiting(api, TimeoutSeconds=600)
    step = await claim(api, transition_id)
    timeout = await pool.fetchval("SELECT expires - start_time FROM transition_execution")
    assert timeout.total_seconds() == 600
    await age(pool, step, "expires", 601)
    for body in (
        {"status": "succeeded", "output": {}},
        {"status": "failed"},
        {"startTime": "2024-01-01"},
        {},
    ):
        refused = await patch(api, step, **body)
        assert refused.status_code == 400
        assert "timed out" in refused.json()["message"]
    assert (await beat(api, step)).status_code == 400
    assert (await api.post(f"/v1/transitions/{transition_id}/executions", json={})).status_code == 404


async def test_waiting_to_be_claimed_does_not_time_out(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    transition_id = await waiting(api)
    await pool.execute("UPDATE transition_execution SET created_time = created_time - interval '30 days'")
    await succeed(api, await claim(api, transition_id), a=1)


@pytest.mark.parametrize(
    ("transition_type", "missing", "parameters"),
    [
        ("docker", "imageUrl", {"imageUrl": "python"}),
        ("lambda", "lambdaId", {"lambdaId": "las:lambda:name:1"}),
    ],
)
async def test_an_incomplete_transition_cannot_be_executed(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    transition_type: str,
    missing: str,
    parameters: dict[str, Any],
) -> None:
    body = {"transitionType": transition_type}
    transition_id = (await ok(await api.post("/v1/transitions", json=body)))["transitionId"]
    path = f"/v1/transitions/{transition_id}"
    refused = await api.post(f"{path}/executions", json={})
    assert refused.status_code == 400
    assert refused.json() == {
        "message": f"Transition {transition_id} cannot be executed before parameters.{missing} is set"
    }
    assert (await ok(await api.get(f"{path}/executions")))["executions"] == []
    assert (await ok(await api.get("/v1/logs")))["logs"] == []
    assert await used(pool, organization.organization_id, "transition-executions") == 0
    await ok(await api.patch(path, json={"parameters": parameters}))
    assert (await claim(api, transition_id))["status"] == "running"


@pytest.mark.parametrize("transition_type", ["docker", "lambda"])
async def test_docker_and_lambda_transitions_are_started_without_a_workflow(
    api: httpx.AsyncClient,
    pool: asyncpg.Pool,
    organization: Tenant,
    transition_type: str,
) -> None:
    transition_id = await create_transition(api, transition_type, timeoutInSeconds=90)
    path = f"/v1/transitions/{transition_id}/executions"
    step = await claim(api, transition_id)
    assert (step["status"], step["input"]) == ("running", {})
    assert step["startTime"] is not None
    given = await ok(await api.post(path, json={"input": {"a": 1}, "more": True}))
    assert given["input"] == {"a": 1}
    timeout = await pool.fetchval(
        "SELECT expires - start_time FROM transition_execution WHERE id = $1", step["executionId"]
    )
    assert timeout.total_seconds() == 90
    assert (await beat(api, step)).status_code == 204
    for bad in ({"input": 1}, {"input": {"a": "x" * (256 * 1024)}}, []):
        assert (await api.post(path, json=bad)).status_code == 400
    assert await used(pool, organization.organization_id, "transition-executions") == 2
    log = await ok(await api.get(f"/v1/logs/{step['logId']}"))
    assert (log["transitionExecutionId"], log["workflowId"]) == (step["executionId"], None)
    ended = await ok(await patch(api, step, status="retry", error={"message": "later"}))
    assert (ended["status"], ended["completedBy"]) == ("retry", organization.app_client_id)


async def test_limit(limited_api: httpx.AsyncClient) -> None:
    transition_id = await create_transition(limited_api, "docker")
    await claim(limited_api, transition_id)
    refused = await limited_api.post(f"/v1/transitions/{transition_id}/executions", json={})
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"status": "running"}, "status"),
        ({"status": "timed-out"}, "status"),
        ({"status": None}, "status"),
        ({"status": "succeeded", "output": []}, "output"),
        ({"status": "succeeded", "output": None}, "output"),
        ({"status": "failed", "error": "x"}, "error"),
        ({"status": "failed", "error": {}}, "message"),
        ({"status": "failed", "error": {"message": "x" * 4097}}, "error.message"),
        ({"status": "failed", "error": {"message": "x", "code": 1}}, "code"),
        ({"status": "succeeded", "startTime": "now"}, "startTime"),
        ({"status": "succeeded", "startTime": 1}, "startTime"),
        ({"status": "succeeded", "state": "x"}, "state"),
        ({"output": {}}, "status: is required"),
        ({"error": {"message": "x"}}, "status: is required"),
    ],
)
async def test_bad_results_are_refused(api: httpx.AsyncClient, body: dict[str, Any], named: str) -> None:
    step = await claim(api, await create_transition(api, "docker"))
    response = await patch(api, step, **body)
    assert response.status_code == 400
    assert named in response.json()["message"]
    path = f"/v1/transitions/{step['transitionId']}/executions/{step['executionId']}"
    assert (await ok(await api.get(path))) == step


async def test_outputs_have_the_same_limit_as_inputs(api: httpx.AsyncClient) -> None:
    transition_id = await create_transition(api, "docker")
    step = await ok(await api.post(f"/v1/transitions/{transition_id}/executions", json={}))
    envelope = len('{"a":""}')
    refused = await patch(api, step, status="succeeded", output={"a": "x" * (DATA_BYTES - envelope + 1)})
    assert refused.status_code == 400
    assert refused.json()["message"] == f"output: must not be larger than {DATA_BYTES} bytes"
    await succeed(api, step, a="x" * (DATA_BYTES - envelope))


async def test_a_result_is_final(api: httpx.AsyncClient, organization: Tenant) -> None:
    step = await claim(api, await create_transition(api, "docker"))
    message = "x" * 4096
    ended = await ok(
        await patch(
            api,
            step,
            status="failed",
            error={"message": message},
            startTime="2024-01-01T12:00:00.5-05:00",
        )
    )
    assert ended == {
        **step,
        "status": "failed",
        "completedBy": organization.app_client_id,
        "startTime": "2024-01-01T17:00:00.500000+0000",
        "endTime": ended["endTime"],
    }
    for body in ({"status": "succeeded"}, {"status": "failed"}, {"startTime": "2024-01-01"}, {}):
        refused = await patch(api, step, **body)
        assert refused.status_code == 400
        assert "has ended" in refused.json()["message"]
    assert (await beat(api, step)).status_code == 400


async def test_a_start_time_alone(api: httpx.AsyncClient) -> None:
    step = await claim(api, await create_transition(api, "docker"))
    changed = await ok(await patch(api, step, startTime="2024-01-01T12:00:00Z"))
    assert changed == {**step, "startTime": "2024-01-01T12:00:00.000000+0000"}
    assert await ok(await patch(api, step, startTime=None)) == changed
    assert await ok(await patch(api, step)) == changed


async def test_the_first_of_several_results_wins(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    first, second = await create_transition(api), await create_transition(api)
    workflow_id = await create_workflow(api, {"A": task(first, "B"), "B": task(second)})
    for _ in range(3):
        execution = await start(api, workflow_id)
        step = await claim(api, first)
        answers = await asyncio.gather(
            *(patch(api, step, status="succeeded", output={"n": number}) for number in range(4)),
            patch(api, step, status="failed"),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
        now = await again(api, execution)
        won = next(answer.json() for answer in answers if answer.is_success)
        if won["status"] == "succeeded":
            assert (await claim(api, second))["input"] == won["output"]
            assert len(now["transitionExecutions"][second]) == 1
        else:
            assert now["status"] == "failed"


async def test_a_result_at_the_same_time_as_a_jump_or_a_deletion(api: httpx.AsyncClient) -> None:
    first, second = await create_transition(api), await create_transition(api)
    workflow_id = await create_workflow(api, {"A": task(first, "B"), "B": task(second)})
    for method, body in (("PATCH", {"nextTransitionId": second}), ("DELETE", None)) * 3:
        execution = await start(api, workflow_id)
        path = f"/v1/workflows/{workflow_id}/executions/{execution['executionId']}"
        step = await claim(api, first)
        ended, other = await asyncio.gather(
            patch(api, step, status="succeeded", output={}), api.request(method, path, json=body)
        )
        assert other.status_code == 200
        assert ended.status_code in (200, 400 if method == "PATCH" else 404)


async def test_production_minutes_are_counted(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(api, {"A": task(transition_id)}, status="production")
    await start(api, workflow_id)
    await pool.execute("UPDATE workflow_execution SET start_time = start_time - interval '5 minutes'")
    step = await claim(api, transition_id)
    await age(pool, step, "claimed_time", 120)
    await succeed(api, step)
    assert 2 <= await used(pool, organization.organization_id, "production-workflow-minutes") < 3


async def test_lists(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    transition_id = await waiting(api, 4)
    path = f"/v1/transitions/{transition_id}/executions"
    claimed = [await claim(api, transition_id) for _ in range(3)]
    await succeed(api, claimed[1])
    await patch(api, claimed[0], status="failed")
    listed = (await ok(await api.get(path)))["executions"]
    ids = [step["executionId"] for step in listed]
    names = [step["executionId"] for step in claimed]
    [unclaimed] = {*ids} - {*names}
    # By start: claimed in order, then the waiting one. By end: the second, the first, then those without.
    unended = sorted([names[2], unclaimed])
    by_start, by_end = [*names, unclaimed], [names[1], names[0], *unended]

    async def paged(**query: Any) -> list[str]:
        found: list[str] = []
        token: str | None = ""
        while token is not None:
            sent = {**query, "maxResults": "1"} | ({"nextToken": token} if token else {})
            body = await ok(await api.get(path, params=sent))
            assert body["transitionId"] == transition_id
            assert body.get("status") == ([query["status"]] if "status" in query else None)
            found += [step["executionId"] for step in body["executions"]]
            token = body["nextToken"]
        return found

    for query, expected in (
        ({}, by_start),
        ({"order": "descending"}, by_start[::-1]),
        ({"sortBy": "endTime"}, by_end),
        ({"sortBy": "endTime", "order": "descending"}, by_end[::-1]),
        ({"status": "running"}, [names[2], unclaimed]),
        ({"status": "retry"}, []),
    ):
        assert await paged(**query) == expected, query
    some = await ok(await api.get(path, params={"executionId": [names[2], names[0], new_id(LogId)]}))
    assert [step["executionId"] for step in some["executions"]] == [names[0], names[2]]
    both = await ok(await api.get(path, params={"status": ["failed", "succeeded"]}))
    assert both["status"] == ["failed", "succeeded"]
    assert [step["executionId"] for step in both["executions"]] == names[:2]
    for bad in ({"status": "completed"}, {"sortBy": "createdTime"}, {"order": "up"}):
        assert (await api.get(path, params=bad)).status_code == 400
    with statements_run() as run:
        await api.get(path)
    assert run[-2:] == [
        "transitions.get_transition",
        "transition_executions.list_by_start_time_ascending",
    ]


async def test_foreign_executions_are_answered_like_unknown_ones(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient
) -> None:
    theirs = await claim(other_api, await create_transition(other_api, "docker"))
    foreign, unknown = theirs["executionId"], new_id(TransitionExecutionId)
    for transition_id in (theirs["transitionId"], await create_transition(api, "docker")):
        for method, ending, body in (
            ("GET", "", None),
            ("PATCH", "", {"status": "succeeded"}),
            ("PATCH", "", {}),
            ("POST", "/heartbeats", {}),
        ):
            answers = [
                await api.request(
                    method, f"/v1/transitions/{transition_id}/executions/{one}{ending}", json=body
                )
                for one in (foreign, unknown)
            ]
            assert [answer.status_code for answer in answers] == [404, 404]
            assert answers[0].content.replace(foreign.encode(), unknown.encode()) == answers[1].content
    unknown_transition = new_id(TransitionId)
    for method, body in (("GET", None), ("POST", {})):
        answers = [
            await api.request(method, f"/v1/transitions/{one}/executions", json=body)
            for one in (theirs["transitionId"], unknown_transition)
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        shown = answers[0].content.replace(theirs["transitionId"].encode(), unknown_transition.encode())
        assert shown == answers[1].content
    path = f"/v1/transitions/{theirs['transitionId']}/executions/{foreign}"
    assert (await ok(await other_api.get(path))) == theirs
