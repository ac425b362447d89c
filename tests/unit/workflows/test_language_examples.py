"""Examples of the specification of the Amazon States Language (states-language.net) and of its guide."""

from __future__ import annotations

from typing import Any

import pytest

from pagemill.workflows.machine import Succeeded, TaskSucceeded
from tests.support.machines import CHECK, READ, Run, alone, machine, passed, task

VALUES = {"flagged": 7, "vals": [0, 10, 20, 30, 40, 50]}
PARTS = {"flagged": True, "parts": {"first.$": "$.vals[0]", "last3.$": "$.vals[-3:]"}}
MADE = {"flagged": True, "parts": {"first": 0, "last3": [30, 40, 50]}}


def test_parameters() -> None:
    assert passed({"Parameters": PARTS}, VALUES) == MADE


def test_result_selector() -> None:
    run = Run(alone(task(ResultSelector=PARTS)))
    run.succeed("A", **VALUES)
    assert run.output == MADE


def test_input_path_and_result_path() -> None:
    data = {"title": "Numbers to add", "numbers": {"val1": 3, "val2": 4}}
    run = Run(alone(task(InputPath="$.numbers", ResultPath="$.sum")), data)
    assert run.task.input == {"val1": 3, "val2": 4}
    run.succeed("A", is_=7)
    assert run.output == {**data, "sum": {"is_": 7}}


def test_a_result_path_makes_what_is_missing() -> None:
    data = {"title": "Numbers to add", "numbers": {"val1": 3, "val2": 4}}
    assert passed({"Result": 7, "ResultPath": "$.sum.value"}, data) == {**data, "sum": {"value": 7}}


def test_the_context_object() -> None:
    run = Run(alone(task(Parameters={"day.$": "$$.State.EnteredTime", "run.$": "$$.Execution.Id"})))
    assert run.task.input == {"day": "2026-11-28T03:00:00.000Z", "run": "e1"}


def test_a_choice() -> None:
    flow = machine(
        "DispatchEvent",
        DispatchEvent={
            "Type": "Choice",
            "Choices": [
                {"Not": {"Variable": "$.type", "StringEquals": "Private"}, "Next": "Public"},
                {
                    "And": [
                        {"Variable": "$.value", "IsPresent": True},
                        {"Variable": "$.value", "IsNumeric": True},
                        {"Variable": "$.value", "NumericGreaterThanEquals": 20},
                        {"Variable": "$.value", "NumericLessThan": 30},
                    ],
                    "Next": "ValueInTwenties",
                },
            ],
            "Default": "RecordEvent",
        },
        Public=task(),
        ValueInTwenties=task(),
        RecordEvent=task(),
    )
    assert Run(flow, {"type": "Public"}).states == ["Public"]
    assert Run(flow, {"type": "Private", "value": 22}).states == ["ValueInTwenties"]
    assert Run(flow, {"type": "Private", "value": "22"}).states == ["RecordEvent"]
    assert Run(flow, {"type": "Private"}).states == ["RecordEvent"]


def test_retriers_and_a_catcher() -> None:
    """The first retrier allows two attempts, the second one is used once, and then the first is used up."""
    state = task(
        Next="Y",
        Retry=[
            {"ErrorEquals": ["ErrorA", "ErrorB"], "IntervalSeconds": 1, "BackoffRate": 2.0, "MaxAttempts": 2},
            {"ErrorEquals": ["ErrorC"], "IntervalSeconds": 5},
        ],
        Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Z"}],
    )
    run = Run(machine("X", X=state, Y=task(), Z=task()))
    for error, seconds in (("ErrorA", 1), ("ErrorB", 2), ("ErrorC", 5)):
        run.fail("X", error)
        assert (run.states, run.task.delay_seconds) == (["X"], seconds)
    run.fail("X", "ErrorB")
    assert run.states == ["Z"]


def test_a_parallel_state() -> None:
    data = [3, 2]
    state = {
        "Type": "Parallel",
        "InputPath": "$.numbers",
        "Branches": [
            machine("Add", Add=task(End=True, Parameters={"of.$": "$"})),
            machine("Subtract", Subtract=task(CHECK, End=True, Parameters={"of.$": "$"})),
        ],
        "ResultPath": "$.results",
    }
    run = Run(alone(state), {"numbers": data})
    assert run.at("Add").input == run.at("Subtract").input == {"of": data}  # type: ignore[union-attr]
    run.succeed("Add", is_=5)
    run.succeed("Subtract", is_=1)
    assert run.output == {"numbers": data, "results": [{"is_": 5}, {"is_": 1}]}


ORDER = {
    "ship-date": "2016-03-14T01:59:00Z",
    "detail": {
        "delivery-partner": "UQS",
        "shipped": [{"prod": "R31", "dest-code": 9511}, {"prod": "S39", "dest-code": 9511}],
    },
}


def test_a_map_state() -> None:
    state = {
        "Type": "Map",
        "InputPath": "$.detail",
        "ItemsPath": "$.shipped",
        "MaxConcurrency": 0,
        "ResultPath": "$.detail.shipped",
        "ItemSelector": {"parcel.$": "$$.Map.Item.Value", "courier.$": "$.delivery-partner"},
        "ItemProcessor": machine("Validate", Validate=task(READ)),
    }
    run = Run(alone(state), ORDER)
    inputs = [action.input for action in run.waiting.values()]  # type: ignore[union-attr]
    assert inputs == [{"parcel": parcel, "courier": "UQS"} for parcel in ORDER["detail"]["shipped"]]  # type: ignore[index]
    for key in list(run.waiting):
        run.send(TaskSucceeded(key, {"valid": True}))
    assert isinstance(run.end, Succeeded)
    assert run.output["detail"] == {"delivery-partner": "UQS", "shipped": [{"valid": True}, {"valid": True}]}


@pytest.mark.parametrize(
    ("call", "data", "value"),
    [
        (
            "States.Format('Your name is {}, we are in the year 2020', $.name)",
            {"name": "Foo"},
            "Your name is Foo, we are in the year 2020",
        ),
        (
            "States.Format($.template, $.firstName)",
            {"template": "Hi {}", "firstName": "Zebulon"},
            "Hi Zebulon",
        ),
        ("States.StringToJson($.someString)", {"someString": '{"hello": "world"}'}, {"hello": "world"}),
        (
            "States.JsonToString($.someJson)",
            {"someJson": {"name": "Foo", "year": 2020}},
            '{"name":"Foo","year":2020}',
        ),
        (
            "States.Array('Foo', 2020, $.someJson, null)",
            {"someJson": {"random": "abcdefg"}, "zebra": 1},
            ["Foo", 2020, {"random": "abcdefg"}, None],
        ),
        (
            "States.ArrayPartition($.inputArray,4)",
            {"inputArray": [1, 2, 3, 4, 5, 6, 7, 8, 9]},
            [[1, 2, 3, 4], [5, 6, 7, 8], [9]],
        ),
        ("States.ArrayContains($.array, $.at)", {"array": [1, 2, 3], "at": 3}, True),
        ("States.ArrayRange(1, 9, 2)", {}, [1, 3, 5, 7, 9]),
        ("States.ArrayGetItem($.inputArray, $.index)", {"inputArray": [1, 2, 3, 4], "index": 2}, 3),
        ("States.ArrayLength($.inputArray)", {"inputArray": [1, 2, 3]}, 3),
        ("States.ArrayUnique($.inputArray)", {"inputArray": [1, 2, 3, 3, 3, 4]}, [1, 2, 3, 4]),
        ("States.Base64Encode($.input)", {"input": "Data to encode"}, "RGF0YSB0byBlbmNvZGU="),
        ("States.Base64Decode($.base64)", {"base64": "RGF0YSB0byBlbmNvZGU="}, "Data to encode"),
        (
            "States.JsonMerge($.json1, $.json2, false)",
            {"json1": {"a": {"a1": 1, "a2": 2}, "b": 2}, "json2": {"a": {"a3": 1, "a4": 2}, "c": 3}},
            {"a": {"a3": 1, "a4": 2}, "b": 2, "c": 3},
        ),
        ("States.MathAdd($.value1, $.step)", {"value1": 111, "step": -1}, 110),
        (
            "States.StringSplit($.inputString, $.splitter)",
            {"inputString": "1,2,3", "splitter": ","},
            ["1", "2", "3"],
        ),
        (
            "States.StringSplit($.inputString, $.splitter)",
            {"inputString": "This.is+a,test=string", "splitter": ".+,="},
            ["This", "is", "a", "test", "string"],
        ),
        ("States.Format('{}', States.ArrayGetItem(States.Array('a', 'b'), 1))", {}, "b"),
    ],
)
def test_intrinsic_functions(call: str, data: dict[str, Any], value: Any) -> None:
    assert passed({"Parameters": {"out.$": call}}, data) == {"out": value}
