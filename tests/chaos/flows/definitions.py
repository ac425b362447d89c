"""Flows that are executed while processes are killed, and the one outcome that each execution has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from tests.support.flows import create_transition, create_workflow, parallel, task, wait
from tests.support.step_engine import IMAGE

FUNCTIONS: Final = ("double", "patient", "odd", "fatal", "refuse")
PROGRAM: Final = '''
import os
import pathlib
import time


class NotYet(Exception):
    """Another attempt will do."""


class Odd(Exception):
    """It is caught."""


class Fatal(Exception):
    """It ends the execution."""


def _begin(environment):
    given = {pair["name"]: pair["value"] for pair in environment}
    with open(pathlib.Path(given["CALLS"]) / given["EXECUTION_ID"], "a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(float(given["SECONDS"]))


def double(data, environment):
    _begin(environment)
    return {"number": data["number"], "doubled": 2 * data["number"]}


def patient(data, environment):
    _begin(environment)
    if data["attempt"] < 2:
        raise NotYet("not yet")
    return {"number": data["number"]}


def odd(data, environment):
    _begin(environment)
    raise Odd("caught")


def fatal(data, environment):
    _begin(environment)
    raise Fatal("the end")


def refuse(data, environment):
    _begin(environment)
    return "not ours", "rejected"
'''
CONTAINER: Final = """
import las, time

@las.transition_handler
def handler(client, event):
    print('begun', flush=True)
    time.sleep(1)
    return {'number': event['number'], 'contained': True}, 'succeeded'

handler()
"""
KILLED: Final = ("Pagemill.FunctionCrashed", "Pagemill.TaskLost", "States.Timeout")
"""Errors of functions that were killed: a definition that wants its work done tries again."""


@dataclass(frozen=True)
class Outcome:
    """How an execution ends; ``error`` is that of its last event."""

    status: str
    output: dict[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True)
class Flow:
    """A workflow, the input of an execution by its number, and what that comes to."""

    workflow_id: str
    data: Callable[[int], dict[str, Any]]
    outcome: Callable[[int], Outcome]


def _retry(*errors: str) -> dict[str, Any]:
    return {"ErrorEquals": list(errors), "IntervalSeconds": 1, "MaxAttempts": 100, "BackoffRate": 1}


def _function(transition_id: str, following: str | None = None, *errors: str, **members: Any) -> Any:
    retry = [_retry(*KILLED), *([_retry(*errors)] if errors else [])]
    return task(transition_id, following, Retry=retry, **members)


def _number(number: int) -> dict[str, Any]:
    return {"number": number}


def _doubled(number: int) -> dict[str, Any]:
    return {"number": number, "doubled": 2 * number}


def is_approved(number: int) -> bool:
    """What a person says to an execution of this number."""
    return number // 2 % 2 == 0


async def create_flows(
    api: httpx.AsyncClient, calls: str, *, seconds: float, with_containers: bool
) -> tuple[list[Flow], str]:
    """Create them; return them and the transition that people do. Functions take so many seconds."""
    environment = {"CALLS": calls, "SECONDS": str(seconds)}
    ids = {
        name: await create_transition(
            api, "lambda", parameters={"lambdaId": f"las:lambda:{name}:1", "environment": environment}
        )
        for name in FUNCTIONS
    }
    person = await create_transition(api)
    flows = []

    async def add(
        states: Mapping[str, Any],
        outcome: Callable[[int], Outcome],
        data: Callable[[int], dict[str, Any]] = _number,
    ) -> None:
        workflow_id = await create_workflow(api, dict(states), status="production")
        flows.append(Flow(workflow_id, data, outcome))

    await add(
        {
            "Begin": {"Type": "Pass", "Next": "Judge"},
            "Judge": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.number", "NumericGreaterThanEquals": 0, "Next": "Double"}],
                "Default": "Never",
            },
            "Double": _function(ids["double"], "Done"),
            "Done": {"Type": "Succeed"},
            "Never": {"Type": "Fail", "Error": "Never", "Cause": "It is negative"},
        },
        lambda number: Outcome("succeeded", _doubled(number)),
    )
    attempt = {"number.$": "$.number", "attempt.$": "$$.State.RetryCount"}
    await add(
        {"Try": _function(ids["patient"], None, "NotYet", Parameters=attempt)},
        lambda number: Outcome("succeeded", _number(number)),
    )
    await add(
        {
            "Odd": _function(ids["odd"], "Never", Catch=[{"ErrorEquals": ["Odd"], "Next": "Caught"}]),
            "Caught": {"Type": "Pass", "Result": {"caught": True}, "End": True},
            "Never": {"Type": "Succeed"},
        },
        lambda _: Outcome("succeeded", {"caught": True}),
    )
    await add({"Fatal": _function(ids["fatal"])}, lambda _: Outcome("failed", error="Fatal"))
    await add({"Refuse": _function(ids["refuse"])}, lambda _: Outcome("rejected"))
    await add(
        {"Wait": wait(2, "Double"), "Double": _function(ids["double"])},
        lambda number: Outcome("succeeded", _doubled(number)),
    )
    joined = {
        "number.$": "$.number",
        "doubled.$": "$.results[0].doubled",
        "approved.$": "$.results[2].approved",
    }
    await add(
        {
            "Together": parallel(
                {"Double": _function(ids["double"])},
                {"Wait": wait(1)},
                {"Person": task(person, Retry=[])},
                Next="Join",
            ),
            "Join": {"Type": "Pass", "Parameters": joined, "End": True},
        },
        lambda number: Outcome("succeeded", {**_doubled(number), "approved": is_approved(number)}),
    )
    await add(
        {
            "Each": {
                "Type": "Map",
                "ItemsPath": "$.items",
                "MaxConcurrency": 2,
                "ItemProcessor": {"StartAt": "One", "States": {"One": _function(ids["double"])}},
                "ResultPath": "$.items",
                "End": True,
            }
        },
        lambda number: Outcome(
            "succeeded", {"number": number, "items": [_doubled(number + one) for one in range(3)]}
        ),
        lambda number: {"number": number, "items": [_number(number + one) for one in range(3)]},
    )
    await add(
        {
            "Person": task(person, "Decide", Retry=[]),
            "Decide": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.approved", "BooleanEquals": True, "Next": "Done"}],
                "Default": "Refused",
            },
            "Done": {"Type": "Succeed"},
            "Refused": {"Type": "Fail", "Error": "Refused", "Cause": "A person has refused it"},
        },
        lambda number: (
            Outcome("succeeded", {"number": number, "approved": True})
            if is_approved(number)
            else Outcome("failed", error="Refused")
        ),
    )
    if with_containers:
        parameters = {"imageUrl": IMAGE, "cpu": 1024, "environment": {"PROGRAM": CONTAINER}}
        container = await create_transition(api, "docker", parameters=parameters)
        for place in (3, 8):
            await add(
                {"Wait": wait(1, "Contain"), "Contain": task(container, Retry=[_retry("States.ALL")])},
                lambda number: Outcome("succeeded", {"number": number, "contained": True}),
            )
            # Any few flows in a row have one.
            flows.insert(place, flows.pop())
    return flows, person
