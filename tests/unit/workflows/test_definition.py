"""Definitions: what is read, and what is refused with the name of the wrong member."""

from __future__ import annotations

import contextlib
import copy
import random
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.errors import BadRequest
from pagemill.workflows.definition import (
    COMMONS_FAILED,
    DEEPEST_MACHINE,
    DEFINITION_BYTES,
    MOST_STATES,
    Definition,
    task_of_transition,
)
from pagemill.workflows.judging import read_definition
from pagemill.workflows.states import UNSUPPORTED
from tests.support.machines import CHECK, READ, WRITE, alone, machine, task

PASS = {"Type": "Pass"}
INNER = machine("B", B={"Type": "Succeed"})
# One of each, with every member that it can have.
EVERYTHING = machine(
    "Prepare",
    Prepare={
        "Type": "Pass",
        "Comment": "first",
        "InputPath": "$.order",
        "Parameters": {"id.$": "$.id", "rows": [{"n.$": "States.ArrayLength($.rows)"}], "constant": 1},
        "ResultPath": "$.prepared",
        "OutputPath": "$",
        "Next": "Read",
    },
    Read=task(
        READ,
        Parameters={"id.$": "$$.Execution.Id"},
        ResultSelector={"pages.$": "$.pages[*].number"},
        ResultPath="$.read",
        TimeoutSecondsPath="$.seconds",
        HeartbeatSeconds=5,
        Retry=[
            {"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "MaxAttempts": 0, "BackoffRate": 1.5},
            {"ErrorEquals": ["States.ALL"], "MaxDelaySeconds": 9, "JitterStrategy": "FULL"},
        ],
        Catch=[{"ErrorEquals": ["States.ALL"], "Next": "Failed", "ResultPath": "$.error", "Comment": "c"}],
        Next="Choose",
    ),
    Choose={
        "Type": "Choice",
        "Choices": [
            {
                "And": [
                    {"Variable": "$.a", "IsPresent": True},
                    {"Variable": "$$.State.Name", "StringEquals": "Choose"},
                ],
                "Next": "Pause",
            },
            {"Variable": "$.b", "NumericEquals": 1, "End": True},
        ],
        "Default": "Both",
    },
    Pause={"Type": "Wait", "TimestampPath": "$.until", "Next": "Both"},
    Both={
        "Type": "Parallel",
        "Branches": [machine("Left", Left=task(CHECK)), machine("Right", Right={**PASS, "End": True})],
        "ResultPath": None,
        "Next": "Each",
    },
    Each={
        "Type": "Map",
        "ItemsPath": "$.rows",
        "MaxConcurrency": 5,
        "ItemSelector": {"row.$": "$$.Map.Item.Value"},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, **machine("Row", Row=task(WRITE))},
        "Retry": [{"ErrorEquals": ["States.BranchFailed"]}],
        "Next": "Done",
    },
    Done={"Type": "Succeed", "OutputPath": "$.rows[0]"},
    Failed={"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "States.Format('No: {}', $.error)"},
)
PLACE = "specification.definition"


def refused(definition: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        read_definition(definition)
    return caught.value.message


def test_every_member_is_read() -> None:
    definition = read_definition(EVERYTHING)
    assert definition.transitions() == {
        f"{PLACE}.States.Read.Resource": [READ],
        f"{PLACE}.States.Both.Branches[0].States.Left.Resource": [CHECK],
        f"{PLACE}.States.Each.ItemProcessor.States.Row.Resource": [WRITE],
    }


@pytest.mark.parametrize(
    ("definition", "named"),
    [
        ({}, f"{PLACE}: Object missing required field `StartAt`"),
        ({"StartAt": "A"}, "States"),
        ({"StartAt": "A", "States": {}}, f"{PLACE}.States"),
        ({"StartAt": "", "States": {"A": task()}}, f"{PLACE}.StartAt"),
        ({**machine("A", A=task()), "TimeoutSeconds": 5}, "TimeoutSeconds"),
        ({**machine("A", A=task()), "QueryLanguage": "JSONata"}, f"{PLACE}.QueryLanguage: is not supported"),
        ({**machine("A", A=task()), "ProcessorConfig": {}}, f"{PLACE}.ProcessorConfig: is only for"),
        (machine("B", A=task()), f"{PLACE}.StartAt: there is no state B"),
        (machine("A", A=task(Next="B")), "States.A: there is no state B"),
        (machine("A", A=task(Next="A", End=True)), "States.A: must have either Next"),
        (machine("A", A=task(Comment="x")), "States.A: must have either Next"),
        (machine("A", A={"Type": "Task", "End": True}), "States.A: Object missing required field `Resource`"),
        (machine("A", A=task("x")), "States.A.Resource"),
        (machine("A", A=task("las:transition:commons")), "States.A.Resource"),
        (machine("A", A=task(End=True, Result={})), "States.A: Object contains unknown field"),
        (machine("A", A=task(End=True, TimeoutSeconds=0)), "States.A.TimeoutSeconds"),
        (machine("A", A=task(End=True, Retry=[{}])), "States.A.Retry[0]"),
        (machine("A", A={"Type": "Loop"}), "States.A.Type: Invalid value 'Loop'"),
        (machine("A", A={}), "States.A: Object missing required field `Type`"),
        (machine("A", A=1), "States.A"),
        ({**machine("A", A=task()), "Comment": "x" * DEFINITION_BYTES}, "must not be larger"),
        ({**machine("A", A=task()), "Comment": "\0"}, f"{PLACE}: must not have the character U+0000"),
    ],
)
def test_bad_definitions_are_named(definition: dict[str, Any], named: str) -> None:
    message = refused(definition)
    assert message.startswith("specification.definition")
    assert named in message


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({**PASS, "InputPath": "a"}, ".InputPath: is not a path"),
        ({**PASS, "InputPath": 1}, ".InputPath: Expected `str | null`"),
        ({**PASS, "OutputPath": "$..a"}, ".OutputPath: must have names, indexes, wildcards and slices only"),
        ({**PASS, "ResultPath": "$.a[*]"}, ".ResultPath: must name a single value"),
        ({**PASS, "ResultPath": "$$.a"}, ".ResultPath: must be a path into the data"),
        ({**PASS, "Parameters": []}, ".Parameters: must be an object"),
        ({**PASS, "Parameters": {"a": [{"b.$": "c"}]}}, ".Parameters.a[0].b.$: is not a path"),
        ({**PASS, "Parameters": {"a.$": 1}}, ".Parameters.a.$: must be a path"),
        ({**PASS, "Parameters": {"a.$": "$.a", "a": 1}}, "is there twice"),
        ({**PASS, "Parameters": {"a.$": "States.None()"}}, ".Parameters.a.$: is not an intrinsic function"),
        ({**PASS, "Result": []}, ".Result: the output of an execution must be an object"),
        ({"Type": "Wait"}, ": must have one of Seconds"),
        ({"Type": "Wait", "Seconds": 1, "SecondsPath": "$.a"}, ": must have one of Seconds"),
        ({"Type": "Wait", "Seconds": -1}, ".Seconds"),
        ({"Type": "Wait", "Timestamp": "tomorrow"}, ".Timestamp: must be a time like"),
        ({"Type": "Wait", "Timestamp": "9999-12-31T23:59:59-01:00"}, ".Timestamp: must be a time like"),
        ({"Type": "Wait", "SecondsPath": "$.*"}, ".SecondsPath: must name a single value"),
        (task(ResultSelector=1), ".ResultSelector: must be an object"),
        (task(HeartbeatSeconds=5, TimeoutSeconds=5), ".HeartbeatSeconds: must be less"),
        (task(TimeoutSeconds=5, TimeoutSecondsPath="$.a"), "must not have both TimeoutSeconds"),
        (task(HeartbeatSecondsPath="a"), ".HeartbeatSecondsPath: is not a path"),
        (task(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "B"}]), ": there is no state B"),
        (
            task(Catch=[{"ErrorEquals": ["E"], "Next": "A", "ResultPath": "b"}]),
            ".Catch[0].ResultPath: is not",
        ),
        (task(Catch=[{"ErrorEquals": [], "Next": "A"}]), ".Catch[0].ErrorEquals"),
        (task(Retry=[{"ErrorEquals": ["E"], "JitterStrategy": "SOME"}]), ".Retry[0].JitterStrategy"),
        (
            task(Retry=[{"ErrorEquals": ["E", "States.ALL"]}]),
            ".Retry[0].ErrorEquals: States.ALL must stand alone",
        ),
        (
            task(Retry=[{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["E"]}]),
            ".Retry[0].ErrorEquals: States.ALL must stand alone, in the last entry",
        ),
        ({"Type": "Choice", "Choices": []}, ".Choices"),
        ({"Type": "Choice", "Choices": [{}]}, ".Choices[0]"),
        ({"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "Next": "B"}]}, "no state B"),
        (
            {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": True, "End": True}], "Default": "B"},
            "no state B",
        ),
        ({"Type": "Fail", "Error": "E", "ErrorPath": "$.a"}, ": must not have both Error and ErrorPath"),
        ({"Type": "Fail", "ErrorPath": "a"}, ".ErrorPath: is not a path"),
        ({"Type": "Fail", "CausePath": "States.Format()"}, ".CausePath: is not an intrinsic function"),
        ({"Type": "Parallel", "Branches": []}, ".Branches"),
        (
            {"Type": "Parallel", "Branches": [INNER, {}]},
            ".Branches[1]: Object missing required field `StartAt`",
        ),
        (
            {"Type": "Parallel", "Branches": [INNER, INNER]},
            ".Branches[1].States.B: another state has the same",
        ),
        (
            {"Type": "Parallel", "Branches": [machine("B", B={**PASS, "Next": "A"})]},
            ".Branches[0].States.B: there is no state A",
        ),
        ({"Type": "Map"}, ": must have ItemProcessor"),
        ({"Type": "Map", "Iterator": INNER, "ItemProcessor": INNER}, ": must have ItemProcessor"),
        ({"Type": "Map", "Iterator": INNER, "ItemsPath": "$.a[*]"}, ".ItemsPath: must name a single value"),
        ({"Type": "Map", "Iterator": INNER, "MaxConcurrency": -1}, ".MaxConcurrency"),
        (
            {"Type": "Map", "Iterator": INNER, "ItemSelector": {}, "Parameters": {}},
            "must not have both ItemSelector",
        ),
        (
            {"Type": "Map", "Iterator": INNER, "MaxConcurrency": 1, "MaxConcurrencyPath": "$.a"},
            "must not have both MaxConcurrency",
        ),
        (
            {"Type": "Map", "ItemProcessor": {**INNER, "ProcessorConfig": {"Mode": "DISTRIBUTED"}}},
            ".ItemProcessor.ProcessorConfig.Mode",
        ),
    ],
)
def test_bad_states_are_named(state: dict[str, Any], named: str) -> None:
    message = refused(alone(state))
    assert message.startswith(f"{PLACE}.States.A")
    assert named in message


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_supported_is_said(name: str) -> None:
    message = refused(alone({"Type": "Map", "Iterator": INNER, name: 1}))
    assert message.startswith(f"{PLACE}.States.A.{name}: is not supported")


def test_deep_nesting_is_refused() -> None:
    inner = INNER
    for level in range(DEEPEST_MACHINE):
        inner = machine(f"P{level}", **{f"P{level}": {"Type": "Parallel", "Branches": [inner], "End": True}})
    assert read_definition(inner)
    deeper = alone({"Type": "Map", "Iterator": inner})
    assert "nested deeper than" in refused(deeper)
    for levels in (300, 100_000):
        value: Any = {}
        for _ in range(levels):
            value = {"a": value}
        for members in ({"Parameters": value}, {"Result": value}):
            assert "nested" in refused(alone({**PASS, **members}))


def test_deep_templates_and_results_are_refused() -> None:
    value: Any = {}
    for _ in range(110):
        value = {"a": value}
    assert "Parameters.a.a" in refused(alone({**PASS, "Parameters": value}))
    assert "Result: is nested too deeply" in refused(alone({**PASS, "Result": value}))


def test_the_number_of_states_is_bounded() -> None:
    states = {str(number): {"Type": "Fail"} for number in range(MOST_STATES + 1)}
    assert f"at most {MOST_STATES} states" in refused({"StartAt": "0", "States": states})
    del states["1"]
    assert len(read_definition({"StartAt": "0", "States": states}).states) == MOST_STATES


def filled(entry: Any, wrap: Any, size: int) -> dict[str, Any]:
    """A definition of about so many bytes, of many entries."""
    entries: list[Any] = []
    total = 0
    while total < size:
        entries.append(entry(len(entries)))
        total += len(msgspec.json.encode(entries[-1])) + 8
    return dict(wrap(entries))


def chain(states: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "StartAt": "0",
        "States": {str(number): state for number, state in enumerate(states)} | {"Z": {"Type": "Fail"}},
    }


def rules(entries: list[Any]) -> dict[str, Any]:
    return alone({"Type": "Choice", "Choices": [{"Or": entries, "End": True}]})


def parameters(entries: list[Any]) -> dict[str, Any]:
    return alone({**PASS, "Parameters": {f"{number}.$": entry for number, entry in enumerate(entries)}})


LARGE = {
    "plain paths": (lambda number: {"Variable": f"$.a{number}", "IsNull": True}, rules),
    "escaped paths": (lambda number: {"Variable": f"$['\\t{number}']", "IsNull": True}, rules),
    "long paths": (lambda number: f"$.a{number}" + "[1]" * 160, parameters),
    "unusual paths": (lambda number: f"$[{number}:2]" + "[ 1]" * 30, parameters),
    "functions": (lambda number: f"States.MathAdd(1,{number})", parameters),
    "nested functions": (lambda number: "States.Array(" * 10 + ")" * 10, parameters),
    "many arguments": (lambda number: f"States.Array({','.join('1' * 999)})", parameters),
    "templates": (lambda number: "States.Format('" + "\\{" * 4000 + "')", parameters),
    "a chain": (lambda number: {"Type": "Pass", "Next": str(number and number - 1)}, chain),
    "circles": (lambda number: {"Type": "Pass", "Next": str(number ^ 1)}, chain),
    "catches": (
        lambda number: task(Next="Z", Catch=[{"ErrorEquals": ["E"], "Next": str(number)}] * 20),
        chain,
    ),
    "branches": (
        lambda number: {
            "Type": "Parallel",
            "Next": "Z",
            "Branches": [machine(f"{number}b", **{f"{number}b": {"Type": "Fail"}})],
        },
        chain,
    ),
}
CALLS_PER_BYTE = 14


def calls_of_judging(definition: dict[str, Any]) -> int:
    """Count the calls of functions: work that does not depend on how busy the machine is."""
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        with contextlib.suppress(BadRequest):
            read_definition(definition)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("name", LARGE)
def test_the_work_of_judging_grows_with_the_size(name: str) -> None:
    entry, wrap = LARGE[name]
    for size in (4_000, 16_000):
        definition = filled(entry, wrap, size)
        assert calls_of_judging(definition) < CALLS_PER_BYTE * len(msgspec.json.encode(definition))


@pytest.mark.parametrize("name", LARGE)
def test_the_largest_definitions_are_read_or_refused(name: str) -> None:
    entry, wrap = LARGE[name]
    definition = filled(entry, wrap, DEFINITION_BYTES * 3 // 4)
    with contextlib.suppress(BadRequest):
        assert isinstance(read_definition(definition), Definition)


def mutated(value: Any, source: random.Random) -> Any:
    """The value with something in it replaced, removed, copied or exchanged."""
    places = list(_places(value))
    holder, key = source.choice(places)
    other_holder, other_key = source.choice(places)
    match source.randrange(5):
        case 0:
            holder[key] = source.choice(
                [None, True, -1, 10**30, 1.5, "", "$", "$.a[*]", "States.UUID()", [], {}]
            )
        case 1 if isinstance(holder, dict):
            del holder[key]
        case 2:
            holder[key] = copy.deepcopy(other_holder[other_key])
        case 3 if isinstance(holder, dict):
            holder[source.choice(["Next", "End", "Type", "Retry", "Catch", "x", "x.$"])] = holder[key]
        case _:
            if isinstance(holder[key], str):
                text = holder[key]
                cut = source.randrange(len(text) + 1)
                holder[key] = (
                    text[:cut]
                    + source.choice(["", "[", "'", "$", ".", "(", "\\", "é", "\0"])
                    + text[cut + 1 :]
                )
    return value


def _places(value: Any) -> Any:
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


@pytest.mark.parametrize("seed", range(300))
def test_mutated_definitions_are_read_or_refused(seed: int) -> None:
    source = random.Random(seed)
    definition = copy.deepcopy(EVERYTHING)
    for _ in range(source.randint(1, 4)):
        definition = mutated(definition, source)
    message = "specification.definition"
    try:
        read_definition(definition)
    except BadRequest as refusal:
        message = refusal.message
    assert message.startswith("specification.definition")
    assert message.encode()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["StartAt", "States", "Type", "Resource", "Next", "Choices", "Variable", "A"])
                | st.text(max_size=3),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_any_object_is_read_or_refused(raw: Any) -> None:
    for one in (raw, machine("A", A=raw), machine("A", A={"Type": "Choice", "Choices": raw})):
        if isinstance(one, dict):
            with contextlib.suppress(BadRequest):
                assert isinstance(read_definition(one), Definition)


def test_the_nearest_task_of_a_transition_is_found() -> None:
    definition = read_definition(
        machine("A", A=task(READ, Next="B"), B=task(CHECK, Next="C"), C=task(READ), D=task(WRITE))
    )
    assert task_of_transition(definition, READ, "B") == "C"
    assert task_of_transition(definition, READ, "A") == "A"
    assert task_of_transition(definition, CHECK, "C") == "B"
    assert task_of_transition(definition, READ, None) == "A"
    assert task_of_transition(definition, WRITE, "A") is None


def test_a_task_that_is_reached_by_a_catch_is_found() -> None:
    caught = task(READ, End=True, Catch=[{"ErrorEquals": ["States.ALL"], "Next": "B"}])
    definition = read_definition(machine("A", A=caught, B=task(CHECK)))
    assert task_of_transition(definition, CHECK, "A") == "B"


def test_commons_failed_is_no_transition_of_the_organization() -> None:
    assert read_definition(machine("A", A=task(COMMONS_FAILED))).transitions() == {}
