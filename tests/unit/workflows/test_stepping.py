"""State machines: definitions, steps and retries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.workflows.definition import COMMONS_FAILED
from pagemill.workflows.definition import compile_definition as read_definition
from pagemill.workflows.retries import TASK_FAILED, TASK_LOST, TIMED_OUT, Retrier, retry_delay
from pagemill.workflows.stepping import Failed, RunTask, Succeeded, advance, begin, enter

READ, CHECK, WRITE = (f"las:transition:{digit * 32}" for digit in "abc")


def task(resource: str, **members: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": resource, **(members or {"End": True})}


def machine(start: str, /, **states: Any) -> dict[str, Any]:
    return {"StartAt": start, "States": states}


# What `las workflows create-default` makes.
DEFAULT_FLOW = {
    "Comment": "Read, check when needed, write",
    **machine(
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
    ),
}


def where(step: Any) -> str:
    assert isinstance(step, RunTask)
    return step.state


def test_the_default_flow() -> None:
    definition = read_definition(DEFAULT_FLOW)
    first = begin(definition, {"documentId": "d"})
    assert isinstance(first, RunTask)
    assert (first.state, first.task.resource, first.input) == ("Preprocess", READ, {"documentId": "d"})
    assert where(advance(definition, "Preprocess", {"needsValidation": True})) == "Validate"
    assert where(advance(definition, "Preprocess", {"needsValidation": False})) == "Postprocess"
    assert advance(definition, "Postprocess", {"values": {}}) == Succeeded({"values": {}})
    assert definition.transitions() == {
        "specification.definition.States.Preprocess.Resource": [READ],
        "specification.definition.States.Validate.Resource": [CHECK],
        "specification.definition.States.Postprocess.Resource": [WRITE],
    }


def test_no_choice_matched() -> None:
    step = advance(read_definition(DEFAULT_FLOW), "Preprocess", {"needsValidation": "yes"})
    assert isinstance(step, Failed)
    assert (step.state, step.error, step.deliberate) == ("Needs validation?", "States.NoChoiceMatched", False)


def test_a_missing_variable_fails() -> None:
    step = advance(read_definition(DEFAULT_FLOW), "Preprocess", {})
    assert isinstance(step, Failed)
    assert step.error == "States.Runtime"
    assert "$.needsValidation" in step.cause


def test_default_and_end_of_a_choice() -> None:
    rule = {"Variable": "$.a", "IsPresent": True}
    choice = {"Type": "Choice", "Choices": [{**rule, "End": True}], "Default": "T"}
    definition = read_definition(machine("C", C=choice, T=task(READ)))
    assert begin(definition, {"a": 1}) == Succeeded({"a": 1})
    assert where(begin(definition, {})) == "T"


def test_pass_succeed_and_fail() -> None:
    definition = read_definition(
        machine(
            "P",
            P={"Type": "Pass", "Result": {"b": 1}, "Next": "S"},
            Q={"Type": "Pass", "End": True},
            S={"Type": "Succeed"},
            F={"Type": "Fail", "Error": "Mine", "Cause": "because"},
            G=task(COMMONS_FAILED),
        )
    )
    assert begin(definition, {"a": 1}) == Succeeded({"b": 1})
    assert enter(definition, "Q", {"a": 1}) == Succeeded({"a": 1})
    assert enter(definition, "F", {}) == Failed("F", "Mine", "because", deliberate=True)
    assert enter(definition, "G", {}) == Failed("G", TASK_FAILED, COMMONS_FAILED, deliberate=True)
    assert definition.transitions() == {}


def test_a_circle_without_a_task_fails() -> None:
    definition = read_definition(
        machine("A", A={"Type": "Pass", "Next": "B"}, B={"Type": "Pass", "Next": "A"})
    )
    step = begin(definition, {})
    assert isinstance(step, Failed)
    assert (step.error, step.deliberate) == ("States.Runtime", False)


def test_a_circle_that_changes_the_data_can_be_left() -> None:
    rule = {"Variable": "$.done", "IsPresent": True, "Next": "T"}
    definition = read_definition(
        machine(
            "C",
            C={"Type": "Choice", "Choices": [rule], "Default": "P"},
            P={"Type": "Pass", "Result": {"done": 1}, "Next": "C"},
            T=task(READ),
        )
    )
    assert where(begin(definition, {})) == "T"


def test_the_number_of_comparisons_is_bounded() -> None:
    """Each Pass state leads through all Choice states to the next one, without a task."""
    circles = 300
    rule = {"Variable": "$.never", "IsPresent": True, "Next": "End"}
    states: dict[str, Any] = {"End": {"Type": "Succeed"}}
    for number in range(circles):
        states[f"P{number}"] = {"Type": "Pass", "Result": {"to": number}, "Next": "C0"}
        states[f"C{number}"] = {"Type": "Choice", "Choices": [rule], "Default": f"C{number + 1}"}
    onwards = [
        {"Variable": "$.to", "NumericEquals": number, "Next": f"P{number + 1}"}
        for number in range(circles - 1)
    ]
    states[f"C{circles}"] = {"Type": "Choice", "Choices": onwards, "Default": "End"}
    step = begin(read_definition({"StartAt": "P0", "States": states}), {})
    assert isinstance(step, Failed)
    assert (step.error, step.deliberate) == ("States.Runtime", False)


def test_the_largest_definition_is_evaluated() -> None:
    rules = [{"Variable": "$.a", "IsPresent": False}] * 6000
    choice = {"Type": "Choice", "Choices": [{"And": rules, "Next": "T"}]}
    assert where(begin(read_definition(machine("C", C=choice, T=task(READ))), {})) == "T"


NAMES = ["A", "B", "C", "D"]
TARGETS = st.sampled_from(NAMES)
STATES = st.one_of(
    TARGETS.map(lambda name: {"Type": "Pass", "Next": name}),
    st.tuples(TARGETS, st.integers(0, 3)).map(
        lambda parts: {"Type": "Pass", "Result": {"n": parts[1]}, "Next": parts[0]}
    ),
    st.tuples(TARGETS, TARGETS, st.integers(0, 3)).map(
        lambda parts: {
            "Type": "Choice",
            "Choices": [{"Variable": "$.n", "NumericEquals": parts[2], "Next": parts[0]}],
            "Default": parts[1],
        }
    ),
    TARGETS.map(lambda name: task(READ, Next=name)),
    st.just({"Type": "Succeed"}),
    st.just({"Type": "Fail"}),
)


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, STATES)), st.integers(0, 3))
def test_every_machine_comes_to_a_task_or_an_end(states: dict[str, Any], number: int) -> None:
    definition = read_definition(machine("A", **states))
    step: Any = begin(definition, {"n": number})
    for _ in range(20):
        if not isinstance(step, RunTask):
            break
        assert states[step.state]["Type"] == "Task"
        step = advance(definition, step.state, step.input)
    assert isinstance(step, RunTask | Succeeded | Failed)


@pytest.mark.parametrize(
    ("error", "delays"),
    [
        (TIMED_OUT, [2, 4, 8, None]),
        (TASK_LOST, [2, 4, 8, None]),
        (TASK_FAILED, [None]),
        (None, [2, 4, 8, None]),
    ],
)
def test_default_retry(error: str | None, delays: list[float | None]) -> None:
    assert [retry_delay(None, error, attempt) for attempt in range(1, len(delays) + 1)] == delays


def test_explicit_retry_wins() -> None:
    timeouts = Retrier(error_equals=[TIMED_OUT], max_attempts=1, interval_seconds=5)
    others = Retrier(error_equals=[TASK_FAILED], max_attempts=100, backoff_rate=3, max_delay_seconds=10)
    assert [retry_delay([timeouts, others], TIMED_OUT, attempt) for attempt in (1, 2)] == [5, None]
    delays = [retry_delay([timeouts, others], TASK_FAILED, attempt) for attempt in (1, 2, 4, 100, 101)]
    assert delays == [1, 3, 10, 10, None]
    assert retry_delay([timeouts, others], None, 1) == 5
    assert retry_delay([], TIMED_OUT, 1) is None
    assert retry_delay([Retrier(error_equals=["States.ALL"])], "anything", 1) == 1
    assert retry_delay([Retrier(error_equals=[TASK_FAILED])], TIMED_OUT, 1) is None
