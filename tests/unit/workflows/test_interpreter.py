"""Executions of state machines: tasks, waiting, data, retries and catches."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from pagemill.workflows.definition import COMMONS_FAILED, compile_definition
from pagemill.workflows.failures import (
    DATA_LIMIT,
    INTRINSIC,
    NO_CHOICE,
    PARAMETER_PATH,
    RESULT_PATH,
    RUNTIME,
    TASK_FAILED,
)
from pagemill.workflows.interpreter import decide, start
from pagemill.workflows.machine import (
    Failed,
    Jump,
    RunTask,
    StartTimer,
    Succeeded,
)
from pagemill.workflows.work_bounds import DATA_BYTES
from tests.support.machines import CHECK, NOW, READ, WRITE, Run, alone, context_of, machine, passed, task

# What `las workflows create-default` makes.
DEFAULT_FLOW = machine(
    "Preprocess",
    Preprocess=task(READ, Next="Needs validation?"),
    **{
        "Needs validation?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.needsValidation", "BooleanEquals": True, "Next": "Validate"},
                {"Variable": "$.needsValidation", "BooleanEquals": False, "Next": "Postprocess"},
            ],
        }
    },
    Validate=task(CHECK, Next="Postprocess"),
    Postprocess=task(WRITE, End=True),
)


def test_the_default_flow() -> None:
    run = Run(DEFAULT_FLOW, {"documentId": "d"})
    assert run.task == RunTask(":1", "Preprocess", READ, {"documentId": "d"})
    run.succeed("Preprocess", needsValidation=True)
    assert run.task == RunTask(":2", "Validate", CHECK, {"needsValidation": True})
    run.succeed("Validate", needsValidation=False)
    assert run.task == RunTask(":3", "Postprocess", WRITE, {"needsValidation": False})
    run.succeed("Postprocess", values={})
    assert run.output == {"values": {}}


def test_no_choice_matched() -> None:
    run = Run(DEFAULT_FLOW)
    run.succeed("Preprocess", needsValidation="yes")
    assert (run.failure.state, run.failure.error) == ("Needs validation?", NO_CHOICE)
    assert not run.failure.deliberate


def test_a_missing_variable_of_a_choice_fails() -> None:
    run = Run(DEFAULT_FLOW)
    run.succeed("Preprocess")
    assert (run.failure.state, run.failure.error) == ("Needs validation?", RUNTIME)
    assert "$.needsValidation" in run.failure.cause


def test_default_and_end_of_a_choice() -> None:
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.a", "IsPresent": True, "End": True}],
        "Default": "T",
    }
    assert Run(machine("C", C=choice, T=task()), {"a": 1}).output == {"a": 1}
    assert Run(machine("C", C=choice, T=task())).states == ["T"]


def test_a_choice_reads_the_context_and_filters_data() -> None:
    rule = {"Variable": "$$.Execution.Name", "StringEqualsPath": "$.month", "End": True}
    choice = {"Type": "Choice", "Choices": [rule], "InputPath": "$.in", "OutputPath": "$.out"}
    data = {"in": {"month": "May", "out": {"a": 1}}}
    assert Run(machine("C", C=choice), data).output == {"a": 1}


def test_the_first_rule_that_holds_is_followed() -> None:
    rules = [{"Variable": "$.n", "NumericGreaterThan": limit, "Next": f"T{limit}"} for limit in (10, 5, 7)]
    flow = machine("C", C={"Type": "Choice", "Choices": rules}, T5=task(), T7=task(), T10=task())
    assert [Run(flow, {"n": n}).states for n in (11, 8, 6)] == [["T10"], ["T5"], ["T5"]]


@pytest.mark.parametrize(
    ("state", "data", "output"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"Result": {"b": 2}}, {"a": 1}, {"b": 2}),
        ({"Result": 2, "ResultPath": "$.b"}, {"a": 1}, {"a": 1, "b": 2}),
        ({"Result": 2, "ResultPath": "$.a.b.c"}, {"a": {"x": 1}}, {"a": {"x": 1, "b": {"c": 2}}}),
        ({"Result": 2, "ResultPath": "$.a[1]"}, {"a": [0, 1]}, {"a": [0, 2]}),
        ({"Result": 2, "ResultPath": "$.a[-1].b"}, {"a": [0, {}]}, {"a": [0, {"b": 2}]}),
        ({"Result": None, "ResultPath": "$.a"}, {"a": 1}, {"a": None}),
        ({"Result": {"b": 2}, "ResultPath": None}, {"a": 1}, {"a": 1}),
        ({"InputPath": "$.a"}, {"a": {"b": 1}, "c": 2}, {"b": 1}),
        ({"InputPath": None}, {"a": 1}, {}),
        ({"InputPath": "$.a[*].b", "ResultPath": "$.c"}, {"a": [{"b": 1}]}, {"a": [{"b": 1}], "c": [1]}),
        ({"InputPath": "$$.State.Name", "ResultPath": "$.s"}, {}, {"s": "A"}),
        ({"InputPath": "$.a", "ResultPath": "$.b"}, {"a": 1}, {"a": 1, "b": 1}),
        ({"OutputPath": "$.a"}, {"a": {"b": 1}}, {"b": 1}),
        ({"OutputPath": None}, {"a": 1}, {}),
        ({"Parameters": {"x.$": "$.b", "y": 1}, "InputPath": "$.a"}, {"a": {"b": 3}}, {"x": 3, "y": 1}),
        ({"Result": {"b": 1}, "Parameters": {"x": 1}}, {}, {"b": 1}),
    ],
)
def test_data_of_a_pass_state(state: dict[str, Any], data: dict[str, Any], output: dict[str, Any]) -> None:
    before = str(data)
    assert passed(state, data) == output
    assert str(data) == before, "data are not changed in place"


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ({"InputPath": "$.x"}, RUNTIME),
        ({"OutputPath": "$.x"}, RUNTIME),
        ({"OutputPath": "$.a"}, RUNTIME),
        ({"Parameters": {"x.$": "$.x"}}, PARAMETER_PATH),
        ({"Parameters": {"x.$": "States.MathAdd($.a, 1)"}}, INTRINSIC),
        ({"Result": 1, "ResultPath": "$.a.b"}, RESULT_PATH),
        ({"Result": 1, "ResultPath": "$.b[0]"}, RESULT_PATH),
        ({"Result": 1, "ResultPath": "$[0]"}, RESULT_PATH),
        ({"Parameters": {"x": "y" * (DATA_BYTES // 2), "z.$": "$.large"}}, DATA_LIMIT),
        ({"Parameters": {"z": "y" * (DATA_BYTES // 2)}, "ResultPath": "$.b"}, DATA_LIMIT),
    ],
)
def test_data_that_do_not_fit_fail_the_execution(state: dict[str, Any], error: str) -> None:
    run = Run(alone({"Type": "Pass", **state}), {"a": "text", "large": "x" * (DATA_BYTES // 2)})
    assert (run.failure.state, run.failure.error, run.failure.deliberate) == ("A", error, False)


def test_data_of_a_task() -> None:
    state = task(
        InputPath="$.order",
        Parameters={"id.$": "$.id", "run.$": "$$.Execution.Id", "time.$": "$$.Execution.StartTime"},
        ResultSelector={"pages.$": "$.pages[*].number"},
        ResultPath="$.read",
        End=True,
    )
    run = Run(alone(state), {"order": {"id": 7}})
    assert run.task.input == {"id": 7, "run": "e1", "time": "2026-11-28T03:00:00.000Z"}
    run.succeed("A", pages=[{"number": 1}, {"number": 2}], other=1)
    assert run.output == {"order": {"id": 7}, "read": {"pages": [1, 2]}}


def test_the_input_of_a_task_is_an_object() -> None:
    run = Run(alone(task(InputPath="$.a", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "A"}])), {"a": [1]})
    assert run.failure == Failed("A", RUNTIME, "The input of task A must be an object")


def test_seconds_of_a_task() -> None:
    run = Run(alone(task(TimeoutSeconds=60, HeartbeatSeconds=5)))
    assert (run.task.timeout_seconds, run.task.heartbeat_seconds) == (60, 5)
    by_path = task(TimeoutSecondsPath="$.t", HeartbeatSecondsPath="$.h", Parameters={})
    run = Run(alone(by_path), {"t": 60, "h": 5.0})
    assert (run.task.timeout_seconds, run.task.heartbeat_seconds) == (60, 5)
    for wrong in (0, -1, "60", 1.5, True, None, 10**9):
        assert Run(alone(by_path), {"t": wrong, "h": 1}).failure.error == RUNTIME


@pytest.mark.parametrize(
    ("state", "timer"),
    [
        ({"Seconds": 5}, StartTimer(":1", "A", 5)),
        ({"Seconds": 0}, StartTimer(":1", "A", 0)),
        ({"SecondsPath": "$.s"}, StartTimer(":1", "A", 7)),
        (
            {"Timestamp": "2026-11-28T05:00:00+01:00"},
            StartTimer(":1", "A", None, NOW + datetime.timedelta(hours=1)),
        ),
        ({"TimestampPath": "$.t"}, StartTimer(":1", "A", None, NOW - datetime.timedelta(hours=3))),
        ({"TimestampPath": "$$.Execution.StartTime"}, StartTimer(":1", "A", None, NOW)),
    ],
)
def test_wait_states(state: dict[str, Any], timer: StartTimer) -> None:
    run = Run(
        alone({"Type": "Wait", "OutputPath": "$.o", **state}), {"s": 7, "t": "2026-11-28T00:00:00Z", "o": {}}
    )
    assert run.timer == timer
    run.fire("A")
    assert run.output == {}


@pytest.mark.parametrize(
    ("state", "data"),
    [
        ({"SecondsPath": "$.s"}, {}),
        ({"SecondsPath": "$.s"}, {"s": -1}),
        ({"SecondsPath": "$.s"}, {"s": "1"}),
        ({"TimestampPath": "$.s"}, {"s": "soon"}),
        ({"TimestampPath": "$.s"}, {"s": 1}),
        ({"TimestampPath": "$.s"}, {"s": "9999-12-31T23:59:59-23:59"}),
        ({"TimestampPath": "$.s"}, {"s": "0001-01-01T00:00:00+01:00"}),
        ({"TimestampPath": "$.s"}, {"s": "2026-11-28T05:00:00"}),
    ],
)
def test_a_time_that_is_none_fails_the_execution(state: dict[str, Any], data: dict[str, Any]) -> None:
    assert Run(alone({"Type": "Wait", **state}), data).failure.error in (RUNTIME, PARAMETER_PATH)


def test_succeed_and_fail() -> None:
    assert Run(alone({"Type": "Succeed"}), {"a": 1}).output == {"a": 1}
    assert (
        Run(alone({"Type": "Succeed", "InputPath": "$.a", "OutputPath": "$.b"}), {"a": {"b": {}}}).output
        == {}
    )
    assert Run(alone({"Type": "Fail"})).failure == Failed("A", "States.Failed", "", deliberate=True)
    fail = {"Type": "Fail", "Error": "Mine", "Cause": "because"}
    assert Run(alone(fail)).failure == Failed("A", "Mine", "because", deliberate=True)
    fail = {"Type": "Fail", "ErrorPath": "$.e", "CausePath": "States.Format('no {}', $.what)"}
    assert Run(alone(fail), {"e": "E", "what": "paper"}).failure == Failed(
        "A", "E", "no paper", deliberate=True
    )
    assert Run(alone(fail), {"e": 1, "what": 1}).failure.error == RUNTIME
    assert Run(alone(fail), {"e": "E"}).failure.error == PARAMETER_PATH
    assert len(Run(alone(fail), {"e": "E" * 9999, "what": "x" * 9999}).failure.cause) == 4096


def test_the_output_of_an_execution_is_an_object() -> None:
    run = Run(alone({"Type": "Succeed", "OutputPath": "$.a"}), {"a": [1]})
    assert run.failure == Failed("A", RUNTIME, "The output of an execution must be an object")


def test_commons_failed_ends_the_execution() -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "A"}]
    run = Run(alone(task(COMMONS_FAILED, Catch=catch, Retry=[{"ErrorEquals": ["States.ALL"]}])))
    assert run.failure == Failed("A", TASK_FAILED, COMMONS_FAILED, deliberate=True)


def test_an_execution_goes_on_with_another_state() -> None:
    run = Run(DEFAULT_FLOW, {"a": 1})
    run.send(Jump("Validate"))
    assert [action.state for action in run.cancelled] == ["Preprocess"]
    assert run.task == RunTask(":2", "Validate", CHECK, {"a": 1})
    run.succeed("Validate", b=2)
    run.fail("Postprocess")
    assert run.failure.state == "Postprocess"
    run.send(Jump("Validate"))
    assert run.task.input == {"b": 2}
    run.succeed("Validate")
    run.succeed("Postprocess", c=3)
    assert run.output == {"c": 3}


def test_a_failed_choice_keeps_its_input() -> None:
    run = Run(DEFAULT_FLOW)
    run.succeed("Preprocess", needsValidation="perhaps")
    run.send(Jump("Postprocess"))
    assert run.task.input == {"needsValidation": "perhaps"}


def test_an_unknown_state_is_not_jumped_to() -> None:
    run = Run(DEFAULT_FLOW)
    assert decide(run.definition, run.machine, Jump("None"), run.context) == (run.machine, ())


def test_the_context_is_given() -> None:
    names = {
        "id": "$$.Execution.Id",
        "name": "$$.Execution.Name",
        "input": "$$.Execution.Input.a",
        "start": "$$.Execution.StartTime",
        "state": "$$.State.Name",
        "entered": "$$.State.EnteredTime",
        "workflow": "$$.StateMachine.Id",
        "workflowName": "$$.StateMachine.Name",
    }
    definition = compile_definition(
        alone({"Type": "Pass", "Parameters": {f"{name}.$": path for name, path in names.items()}})
    )
    context = context_of({"a": 1}, now=NOW + datetime.timedelta(seconds=1.5), workflow_name="Orders")
    assert start(definition, {}, context).actions == (
        Succeeded(
            {
                "id": "e1",
                "name": "May",
                "input": 1,
                "start": "2026-11-28T03:00:00.000Z",
                "state": "A",
                "entered": "2026-11-28T03:00:01.500Z",
                "workflow": "w1",
                "workflowName": "Orders",
            }
        ),
    )
