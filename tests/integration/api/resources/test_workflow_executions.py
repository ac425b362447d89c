"""Executions of workflows through HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from db.workflow_executions import KEPT_EVENTS
from pagemill.ids import TransitionId, WorkflowExecutionId, WorkflowId, new_id
from tests.support.flows import (
    again,
    claim,
    create_transition,
    create_workflow,
    lines,
    ok,
    patch,
    start,
    succeed,
    task,
)
from tests.support.queries import statements_run
from tests.support.seeds import used
from tests.support.tenants import Tenant

FAILED = "las:transition:commons-failed"


async def patch_execution(api: httpx.AsyncClient, execution: dict[str, Any], **body: Any) -> httpx.Response:
    path = f"/v1/workflows/{execution['workflowId']}/executions/{execution['executionId']}"
    return await api.patch(path, json=body)


async def test_the_default_flow(api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant) -> None:
    read, write = await create_transition(api, "docker"), await create_transition(api, "docker")
    check = await create_transition(api)
    choice = {
        "Type": "Choice",
        "Choices": [
            {"Variable": "$.needsValidation", "BooleanEquals": True, "Next": "Check"},
            {"Variable": "$.needsValidation", "BooleanEquals": False, "Next": "Write"},
        ],
    }
    workflow_id = await create_workflow(
        api,
        {"Read": task(read, "Choose"), "Choose": choice, "Check": task(check, "Write"), "Write": task(write)},
    )
    execution = await start(api, workflow_id, {"documentId": "d", "title": "One"})
    [first] = execution["transitionExecutions"][read]
    assert execution == {
        "executionId": execution["executionId"],
        "workflowId": workflow_id,
        "status": "running",
        "input": {"documentId": "d", "title": "One"},
        "output": None,
        "transitionExecutions": {read: [first]},
        "events": [],
        "completedBy": [],
        "logId": execution["logId"],
        "completedTaskLogId": None,
        "createdBy": organization.app_client_id,
        "startTime": execution["startTime"],
        "endTime": None,
    }
    step = await ok(await api.get(f"/v1/transitions/{read}/executions/{first}"))
    assert (step["status"], step["input"]) == ("running", execution["input"])
    assert (await ok(await api.get(f"/v1/workflows/{workflow_id}")))["numberOfRunningExecutions"] == 1

    await succeed(api, step, needsValidation=True, documentId="d")
    manual = await claim(api, check)
    assert manual["input"] == {"needsValidation": True, "documentId": "d"}
    await succeed(api, manual, verified=True)
    [last] = (await again(api, execution))["transitionExecutions"][write]
    await succeed(api, {"transitionId": write, "executionId": last}, values={"total": "1.00"})

    ended = await again(api, execution)
    assert (ended["status"], ended["output"]) == ("succeeded", {"values": {"total": "1.00"}})
    assert ended["endTime"] > ended["startTime"]
    assert ended["transitionExecutions"] == {read: [first], check: [manual["executionId"]], write: [last]}
    workflow = await ok(await api.get(f"/v1/workflows/{workflow_id}"))
    assert workflow["numberOfRunningExecutions"] == 0
    assert workflow["monthlyNumberOfWorkflowExecutionsCreated"] == 1
    assert await used(pool, organization.organization_id, "workflow-executions") == 1
    assert await used(pool, organization.organization_id, "transition-executions") == 3
    assert await used(pool, organization.organization_id, "production-workflow-minutes") == 0


async def test_the_first_line_is_in_the_log(api: httpx.AsyncClient) -> None:
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(api, {"A": task(transition_id)})
    execution = await start(api, workflow_id)
    first, second = await lines(api, execution["logId"])
    assert first == f"Execution {execution['executionId']} of workflow {workflow_id} has started"
    step = await claim(api, transition_id)
    assert second == f"State A: {step['executionId']} of {transition_id}"
    assert await lines(api, step["logId"]) == [
        f"Execution {step['executionId']} of transition {transition_id} has been created"
    ]
    logs = (await ok(await api.get("/v1/logs", params={"workflowId": workflow_id})))["logs"]
    assert {log["logId"] for log in logs} == {execution["logId"], step["logId"]}
    await succeed(api, step)
    assert (await lines(api, execution["logId"]))[-1].endswith("succeeded")


async def test_a_workflow_without_a_task_ends_at_once(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    workflow_id = await create_workflow(api, {"A": {"Type": "Succeed"}}, status="production")
    execution = await start(api, workflow_id, {"a": 1})
    assert (execution["status"], execution["output"]) == ("succeeded", {"a": 1})
    assert execution["transitionExecutions"] == {}
    failing = await start(api, await create_workflow(api, {"A": task(FAILED)}))
    assert (failing["status"], failing["output"]) == ("failed", None)
    assert failing["events"][0]["error"] == "States.TaskFailed"
    assert await used(pool, organization.organization_id, "transition-executions") == 0


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": {}, "name": "x"}, "name"),
        ({"input": {"a": "x" * (256 * 1024)}}, "input: must not be larger than 262144 bytes"),
        ({"input": {"a": "\0"}}, "U+0000"),
    ],
)
async def test_a_refused_start_stores_nothing(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant, body: dict[str, Any], named: str
) -> None:
    workflow_id = await create_workflow(api, {"A": task(await create_transition(api))})
    response = await api.post(f"/v1/workflows/{workflow_id}/executions", json=body)
    assert response.status_code == 400
    assert named in response.json()["message"]
    assert await used(pool, organization.organization_id, "workflow-executions") == 0
    for table in ("workflow_execution", "transition_execution", "log"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_the_largest_input(api: httpx.AsyncClient) -> None:
    workflow_id = await create_workflow(api, {"A": task(await create_transition(api))})
    data = {"a": "x" * (256 * 1024 - len('{"a":""}'))}
    assert (await start(api, workflow_id, data))["input"] == data


@pytest.mark.parametrize("depth", [98, 99, 900, 921, 924, 927])
async def test_deeply_nested_input_is_refused_or_shown_everywhere(api: httpx.AsyncClient, depth: int) -> None:
    transition_id = await create_transition(api, "docker")
    workflow_id = await create_workflow(api, {"A": task(transition_id, "B"), "B": task(transition_id)})
    path = f"/v1/workflows/{workflow_id}/executions"
    nested = '{"a":' * depth + "1" + "}" * depth
    headers = {"Content-Type": "application/json"}
    response = await api.post(path, content=f'{{"input":{nested}}}', headers=headers)
    if depth >= 100:
        assert response.status_code == 400
        assert response.json()["message"] == "body: is nested too deeply"
        return
    execution = await ok(response)
    await ok(await api.get(path))
    [step_id] = execution["transitionExecutions"][transition_id]
    ended = await api.patch(
        f"/v1/transitions/{transition_id}/executions/{step_id}",
        content=f'{{"status":"succeeded","output":{nested}}}',
        headers=headers,
    )
    assert (await ok(ended))["status"] == "succeeded"
    await ok(await api.get(f"/v1/transitions/{transition_id}/executions"))
    assert len((await again(api, execution))["transitionExecutions"][transition_id]) == 2


async def test_failed_and_rejected_executions(api: httpx.AsyncClient) -> None:
    transition_id = await create_transition(api)
    choice = {"Type": "Choice", "Choices": [{"Variable": "$.a", "NumericEquals": 1, "End": True}]}
    workflow_id = await create_workflow(api, {"A": task(transition_id, "C"), "C": choice})
    outcomes: list[tuple[dict[str, Any], str, str | None]] = [
        ({"status": "failed", "error": {"message": "no page"}}, "failed", "States.TaskFailed"),
        ({"status": "rejected"}, "rejected", None),
        ({"status": "succeeded", "output": {"a": 2}}, "failed", "States.NoChoiceMatched"),
        ({"status": "succeeded"}, "failed", "States.Runtime"),
        ({"status": "succeeded", "output": {"a": 1}}, "succeeded", None),
    ]
    for body, status, error in outcomes:
        execution = await start(api, workflow_id)
        step = await claim(api, transition_id)
        assert (await ok(await patch(api, step, **body)))["status"] == body["status"]
        ended = await again(api, execution)
        assert ended["status"] == status
        assert ended["endTime"] is not None
        assert [event["error"] for event in ended["events"]] == ([error] if error else [])


async def create_incomplete_transition(api: httpx.AsyncClient) -> str:
    """Create a docker transition whose image is not set."""
    created = await ok(await api.post("/v1/transitions", json={"transitionType": "docker"}))
    return str(created["transitionId"])


async def test_a_task_without_an_image_fails_the_execution(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    transition_id = await create_incomplete_transition(api)
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 5}]
    workflow_id = await create_workflow(api, {"A": task(transition_id, Retry=retry)})
    execution = await start(api, workflow_id)
    assert (execution["status"], execution["transitionExecutions"]) == ("failed", {})
    [event] = execution["events"]
    cause = f"Transition {transition_id} cannot be executed before parameters.imageUrl is set"
    assert (event["state"], event["error"], event["cause"]) == ("A", "States.Runtime", cause)
    assert f"State A: States.Runtime: {cause}" in await lines(api, execution["logId"])
    assert await used(pool, organization.organization_id, "transition-executions") == 0
    assert await used(pool, organization.organization_id, "workflow-executions") == 1


async def test_an_execution_goes_on_when_the_image_is_set(api: httpx.AsyncClient) -> None:
    first, second = await create_transition(api), await create_incomplete_transition(api)
    workflow_id = await create_workflow(
        api, {"A": task(first, "B"), "B": task(second)}, errorConfig={"manualRetry": True}
    )
    execution = await start(api, workflow_id)
    await succeed(api, await claim(api, first), n=1)
    assert (await again(api, execution))["status"] == "retry"
    assert (await ok(await patch_execution(api, execution, nextTransitionId=second)))["status"] == "retry"
    image = {"parameters": {"imageUrl": "python"}}
    await ok(await api.patch(f"/v1/transitions/{second}", json=image))
    on = await ok(await patch_execution(api, execution, nextTransitionId=second))
    assert on["status"] == "running"
    [step_id] = on["transitionExecutions"][second]
    step = await ok(await api.get(f"/v1/transitions/{second}/executions/{step_id}"))
    assert step["input"] == {"n": 1}
    await succeed(api, step, n=2)
    assert (await again(api, execution))["output"] == {"n": 2}


async def test_manual_retry_waits_for_the_next_transition(api: httpx.AsyncClient) -> None:
    first, second = await create_transition(api), await create_transition(api)
    workflow_id = await create_workflow(
        api, {"A": task(first, "B"), "B": task(second)}, errorConfig={"manualRetry": True}
    )
    execution = await start(api, workflow_id, {"n": 1})
    await patch(api, await claim(api, first), status="failed", error={"message": "no page"})
    waiting = await again(api, execution)
    assert (waiting["status"], waiting["endTime"]) == ("retry", None)
    assert (waiting["events"][0]["state"], waiting["events"][0]["cause"]) == ("A", "no page")

    on = await ok(await patch_execution(api, execution, nextTransitionId=first))
    assert on["status"] == "running"
    assert len(on["transitionExecutions"][first]) == 2
    step = await claim(api, first)
    assert step["input"] == {"n": 1}
    await succeed(api, step, n=2)
    assert (await claim(api, second))["input"] == {"n": 2}

    back = await ok(await patch_execution(api, execution, nextTransitionId=first))
    assert back["status"] == "running"
    [left] = back["transitionExecutions"][second]
    refused = await patch(api, {"transitionId": second, "executionId": left}, status="succeeded")
    assert refused.status_code == 400
    assert (await claim(api, first))["input"] == {"n": 2}

    ended = await ok(await patch_execution(api, execution, nextTransitionId=FAILED))
    assert (ended["status"], ended["output"]) == ("failed", None)
    assert ended["endTime"] is not None
    again_refused = await patch_execution(api, execution, nextTransitionId=first)
    assert again_refused.status_code == 400
    assert "nextTransitionId" in again_refused.json()["message"]


async def test_the_newest_events_are_kept(api: httpx.AsyncClient, pool: asyncpg.Pool) -> None:
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(api, {"A": task(transition_id)})
    execution = await start(api, workflow_id)
    await pool.execute(
        """
        UPDATE workflow_execution SET events = (
            SELECT jsonb_agg(jsonb_build_object('type', number::text))
            FROM generate_series(1, $2::integer) AS number
        ) WHERE id = $1
        """,
        execution["executionId"],
        KEPT_EVENTS,
    )
    await ok(await patch_execution(api, execution, nextTransitionId=transition_id))
    events = (await again(api, execution))["events"]
    assert len(events) == KEPT_EVENTS
    assert [events[0]["type"], events[-1]["type"]] == ["2", "NextTransition"]


async def test_the_next_transition_has_to_be_one_of_the_workflow(api: httpx.AsyncClient) -> None:
    inside, outside = await create_transition(api), await create_transition(api)
    execution = await start(api, await create_workflow(api, {"A": task(inside)}))
    for transition_id in (outside, new_id(TransitionId), "las:transition:commons-other", "x"):
        response = await patch_execution(api, execution, nextTransitionId=transition_id)
        assert response.status_code == 400
        assert "nextTransitionId" in response.json()["message"]
    assert (await again(api, execution)) == execution


async def test_completed_and_back(api: httpx.AsyncClient, organization: Tenant) -> None:
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(api, {"A": task(transition_id)})
    execution = await start(api, workflow_id)
    for body in ({}, {"status": "completed", "nextTransitionId": transition_id}, {"status": "failed"}):
        assert (await patch_execution(api, execution, **body)).status_code == 400
    refused = await patch_execution(api, execution, status="completed")
    assert refused.status_code == 400
    assert "running" in refused.json()["message"]
    await succeed(api, await claim(api, transition_id), a=1)
    for _ in range(2):
        completed = await ok(await patch_execution(api, execution, status="completed"))
        assert (completed["status"], completed["output"]) == ("completed", {"a": 1})
        assert completed["completedBy"] == [organization.app_client_id]
    taken_back = await ok(await patch_execution(api, execution, status="succeeded"))
    assert taken_back["status"] == "succeeded"
    assert taken_back["completedBy"] == [organization.app_client_id]


async def test_a_task_is_retried_until_its_retry_is_used_up(
    api: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    manual, docker = await create_transition(api), await create_transition(api, "docker")
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1, "IntervalSeconds": 60}]
    workflow_id = await create_workflow(api, {"A": task(manual, "B"), "B": task(docker, Retry=retry)})
    execution = await start(api, workflow_id, {"n": 1})
    for attempt in range(1, 5):
        step = await claim(api, manual)
        assert step["input"] == {"n": 1}
        assert (await ok(await patch(api, step, status="retry")))["status"] == "retry"
        assert (await again(api, execution))["status"] == ("running" if attempt < 4 else "failed")

    execution = await start(api, workflow_id, {"n": 1})
    await succeed(api, await claim(api, manual), n=2)
    for status in ("failed", "failed"):
        ids = (await again(api, execution))["transitionExecutions"][docker]
        await patch(api, {"transitionId": docker, "executionId": ids[-1]}, status=status)
    ended = await again(api, execution)
    assert ended["status"] == "failed"
    assert len(ended["transitionExecutions"][docker]) == 2
    due, expires = await pool.fetchrow(
        "SELECT start_time - created_time, expires - start_time FROM transition_execution WHERE attempt = 2 "
        "AND transition_id = $1",
        docker,
    )
    assert (due.total_seconds(), expires.total_seconds()) == (60, 1800)


async def test_an_execution_fails_when_the_plan_allows_no_further_step(
    limited_api: httpx.AsyncClient, pool: asyncpg.Pool, limited_organization: Tenant
) -> None:
    transition_id = await create_transition(limited_api)
    workflow_id = await create_workflow(
        limited_api, {"A": task(transition_id, "B"), "B": task(transition_id)}
    )
    execution = await start(limited_api, workflow_id)
    refused = await limited_api.post(f"/v1/workflows/{workflow_id}/executions", json={"input": {}})
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")
    assert await used(pool, limited_organization.organization_id, "workflow-executions") == 1
    # The second task is one transition execution too many: what the first did is kept nevertheless.
    step = await succeed(limited_api, await claim(limited_api, transition_id), a=1)
    assert (step["status"], step["output"]) == ("succeeded", {"a": 1})
    ended = await again(limited_api, execution)
    assert (ended["status"], ended["events"][0]["error"]) == ("failed", "Pagemill.LimitExceeded")


async def test_a_workflow_in_development_has_a_limit_of_its_own(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    workflow_id = await create_workflow(api, {"A": {"Type": "Succeed"}})
    await start(api, workflow_id)
    await pool.execute(
        "UPDATE usage_counter SET used = 100 WHERE meter = $1", f"workflow-executions {workflow_id}"
    )
    refused = await api.post(f"/v1/workflows/{workflow_id}/executions", json={"input": {}})
    assert (refused.status_code, refused.json()["message"]) == (429, "Limit Exceeded")
    assert await used(pool, organization.organization_id, "workflow-executions") == 1
    await api.patch(f"/v1/workflows/{workflow_id}", json={"status": "production"})
    await start(api, workflow_id)
    workflow = await ok(await api.get(f"/v1/workflows/{workflow_id}"))
    assert workflow["monthlyNumberOfWorkflowExecutionsCreated"] == 101
    other = await create_workflow(api, {"A": {"Type": "Succeed"}})
    await start(api, other)
    assert await used(pool, organization.organization_id, "workflow-executions") == 3


async def test_one_request_starts_one_execution(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(api, {"A": task(transition_id)})
    executions = await asyncio.gather(*(start(api, workflow_id, {"n": number}) for number in range(8)))
    assert len({execution["executionId"] for execution in executions}) == 8
    assert await pool.fetchval("SELECT count(*) FROM workflow_execution") == 8
    assert await pool.fetchval("SELECT count(*) FROM transition_execution") == 8
    assert await used(pool, organization.organization_id, "workflow-executions") == 8


async def test_deleting_an_execution_deletes_its_steps_and_logs(
    api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant
) -> None:
    transition_id = await create_transition(api)
    workflow_id = await create_workflow(api, {"A": task(transition_id)})
    execution = await start(api, workflow_id)
    kept = await start(api, workflow_id)
    path = f"/v1/workflows/{workflow_id}/executions/{execution['executionId']}"
    answers = await asyncio.gather(*(api.delete(path) for _ in "abc"))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404]
    assert next(answer for answer in answers if answer.is_success).json() == execution
    assert (await api.get(path)).status_code == 404
    assert (await api.get(f"/v1/logs/{execution['logId']}")).status_code == 404
    [step] = execution["transitionExecutions"][transition_id]
    refused = await patch(api, {"transitionId": transition_id, "executionId": step}, status="succeeded")
    assert refused.status_code == 404
    assert await again(api, kept) == kept
    assert await pool.fetchval("SELECT count(*) FROM log") == 2


async def test_lists(api: httpx.AsyncClient, pool: asyncpg.Pool, organization: Tenant) -> None:
    workflow_id = await create_workflow(api, {"A": task(await create_transition(api))})
    ids = [(await start(api, workflow_id))["executionId"] for _ in range(5)]
    times = [
        ("2024-01-01T00:00:00Z", "2024-01-03T00:00:00Z", "succeeded"),
        ("2024-01-02T00:00:00Z", None, "running"),
        ("2024-01-03T00:00:00Z", "2024-01-02T00:00:00Z", "failed"),
        ("2024-01-04T00:00:00Z", None, "retry"),
        ("2024-01-05T00:00:00Z", "2024-01-06T00:00:00Z", "completed"),
    ]
    for identifier, (started, ended, status) in zip(ids, times, strict=True):
        await pool.execute(
            "UPDATE workflow_execution SET start_time = $2::text::timestamptz, "
            "end_time = $3::text::timestamptz, status = $4 WHERE id = $1",
            identifier,
            started,
            ended,
            status,
        )
    path = f"/v1/workflows/{workflow_id}/executions"

    async def listed(**query: Any) -> list[int]:
        body = await ok(await api.get(path, params=query))
        assert body["workflowId"] == workflow_id
        assert {name: body.get(name) for name in ("sortBy", "order")} == {
            name: query.get(name) for name in ("sortBy", "order")
        }
        return [ids.index(execution["executionId"]) for execution in body["executions"]]

    async def paged(**query: Any) -> list[int]:
        found: list[int] = []
        token: str | None = ""
        while token is not None:
            sent = {**query, "maxResults": "1"} | ({"nextToken": token} if token else {})
            body = await ok(await api.get(path, params=sent))
            found += [ids.index(execution["executionId"]) for execution in body["executions"]]
            token = body["nextToken"]
        return found

    unended = sorted((1, 3), key=lambda number: ids[number])
    for query, expected in (
        ({}, [0, 1, 2, 3, 4]),
        ({"order": "descending"}, [4, 3, 2, 1, 0]),
        ({"sortBy": "startTime", "order": "ascending"}, [0, 1, 2, 3, 4]),
        ({"sortBy": "endTime"}, [2, 0, 4, *unended]),
        ({"sortBy": "endTime", "order": "descending"}, [*unended[::-1], 4, 0, 2]),
        ({"status": ["running", "failed"]}, [1, 2]),
        ({"status": "retry", "sortBy": "endTime", "order": "descending"}, [3]),
        ({"fromStartTime": "2024-01-02T00:00:00Z"}, [1, 2, 3, 4]),
        ({"toStartTime": "2024-01-02T00:00:00+0000"}, [0, 1]),
        ({"fromStartTime": "2024-01-01T20:00:00-05:00", "toStartTime": "2024-01-03"}, [2]),
        ({"fromStartTime": "2024-01-04", "status": ["completed", "succeeded"]}, [4]),
    ):
        assert await listed(**query) == expected, query
        assert await paged(**query) == expected, query
    assert (await ok(await api.get(f"{path}/?status=running")))["status"] == ["running"]
    for bad in (
        {"status": "done"},
        {"sortBy": "createdTime"},
        {"order": "up"},
        {"fromStartTime": "yesterday"},
        {"toStartTime": "x"},
    ):
        assert (await api.get(path, params=bad)).status_code == 400
    with statements_run() as run:
        await listed()
    assert run[-2:] == [
        "workflows.find_workflow_id",
        "workflow_executions.list_by_start_time_ascending",
    ]


async def test_foreign_executions_are_answered_like_unknown_ones(
    api: httpx.AsyncClient, other_api: httpx.AsyncClient
) -> None:
    theirs = await start(
        other_api, await create_workflow(other_api, {"A": task(await create_transition(other_api))})
    )
    own_workflow = await create_workflow(api, {"A": {"Type": "Succeed"}})
    foreign, unknown = theirs["executionId"], new_id(WorkflowExecutionId)
    for workflow_id in (own_workflow, theirs["workflowId"]):
        for method, body in (("GET", None), ("PATCH", {"status": "completed"}), ("DELETE", None)):
            answers = [
                await api.request(method, f"/v1/workflows/{workflow_id}/executions/{identifier}", json=body)
                for identifier in (foreign, unknown)
            ]
            assert [answer.status_code for answer in answers] == [404, 404]
            assert answers[0].content.replace(foreign.encode(), unknown.encode()) == answers[1].content
    unknown_workflow = new_id(WorkflowId)
    for method, body in (("GET", None), ("POST", {"input": {}})):
        answers = [
            await api.request(method, f"/v1/workflows/{identifier}/executions", json=body)
            for identifier in (theirs["workflowId"], unknown_workflow)
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        shown = answers[0].content.replace(theirs["workflowId"].encode(), unknown_workflow.encode())
        assert shown == answers[1].content
    assert await again(other_api, theirs) == theirs
