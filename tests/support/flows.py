"""Calls of the API that tests of workflows share."""

from __future__ import annotations

from typing import Any

import httpx


async def ok(response: httpx.Response) -> dict[str, Any]:
    """Return the body of an answer that has to be a success."""
    assert response.status_code == 200, response.text
    return dict(response.json())


async def create_transition(api: httpx.AsyncClient, transition_type: str = "manual", **body: Any) -> str:
    parameters = {
        "docker": {"imageUrl": "python"},
        "lambda": {"lambdaId": "las:lambda:name:1"},
        "manual": {},
    }[transition_type]
    body = {"transitionType": transition_type, "parameters": parameters, **body}
    return str((await ok(await api.post("/v1/transitions", json=body)))["transitionId"])


def task(transition_id: str, following: str | None = None, **members: Any) -> dict[str, Any]:
    ending = {"End": True} if following is None else {"Next": following}
    return {"Type": "Task", "Resource": transition_id, **ending, **members}


def wait(seconds: int, following: str | None = None) -> dict[str, Any]:
    ending = {"End": True} if following is None else {"Next": following}
    return {"Type": "Wait", "Seconds": seconds, **ending}


def parallel(*branches: dict[str, dict[str, Any]], **members: Any) -> dict[str, Any]:
    made = [{"StartAt": next(iter(states)), "States": states} for states in branches]
    return {"Type": "Parallel", "Branches": made, "ResultPath": "$.results", **members}


async def create_workflow(api: httpx.AsyncClient, states: dict[str, dict[str, Any]], **body: Any) -> str:
    """Create a workflow that starts at the first of the states; return its id."""
    definition = {"StartAt": next(iter(states)), "States": states}
    response = await api.post("/v1/workflows", json={"specification": {"definition": definition}, **body})
    return str((await ok(response))["workflowId"])


async def start(
    api: httpx.AsyncClient, workflow_id: str, data: dict[str, Any] | None = None
) -> dict[str, Any]:
    response = await api.post(f"/v1/workflows/{workflow_id}/executions", json={"input": data or {}})
    return await ok(response)


async def claim(api: httpx.AsyncClient, transition_id: str) -> dict[str, Any]:
    return await ok(await api.post(f"/v1/transitions/{transition_id}/executions", json={}))


async def patch(api: httpx.AsyncClient, step: dict[str, Any], **body: Any) -> httpx.Response:
    path = f"/v1/transitions/{step['transitionId']}/executions/{step['executionId']}"
    return await api.patch(path, json=body)


async def succeed(api: httpx.AsyncClient, step: dict[str, Any], **output: Any) -> dict[str, Any]:
    return await ok(await patch(api, step, status="succeeded", output=output))


async def again(api: httpx.AsyncClient, execution: dict[str, Any]) -> dict[str, Any]:
    """Read an execution of a workflow again."""
    path = f"/v1/workflows/{execution['workflowId']}/executions/{execution['executionId']}"
    return await ok(await api.get(path))


async def lines(api: httpx.AsyncClient, log_id: str) -> list[str]:
    return [event["message"] for event in (await ok(await api.get(f"/v1/logs/{log_id}")))["events"]]


async def steps_of(
    api: httpx.AsyncClient, execution: dict[str, Any], transition_id: str
) -> list[dict[str, Any]]:
    """The steps of an execution that ran a transition, oldest first."""
    ids = (await again(api, execution))["transitionExecutions"].get(transition_id, [])
    path = f"/v1/transitions/{transition_id}/executions"
    return [await ok(await api.get(f"{path}/{one}")) for one in ids]
