"""Events that come too late, and bounds of what an execution may do."""

from __future__ import annotations

from typing import Any

from pagemill.workflows.decision import MOST_VISITS
from pagemill.workflows.definition import compile_definition
from pagemill.workflows.failures import DATA_LIMIT, RUNTIME
from pagemill.workflows.interpreter import decide, start
from pagemill.workflows.machine import Failed, Jump, Machine, TaskFailed, TaskSucceeded, TimerFired
from pagemill.workflows.work_bounds import DATA_BYTES
from tests.support.machines import Run, alone, context_of, machine, task


def test_events_that_are_not_waited_for_change_nothing() -> None:
    run = Run(alone(task(Retry=[{"ErrorEquals": ["E"]}])))
    first = run.task.key
    run.fail("A")
    before = run.machine
    for key in (first, ":3", ":0", "", ":", "0:2", ":-2", "x:2", ":2:2", "/:2", "0/0:2", ":²"):
        for event in (TaskSucceeded(key, {}), TaskFailed(key, "E"), TimerFired(key)):
            assert decide(run.definition, run.machine, event, run.context) == (before, ())
    assert decide(run.definition, run.machine, TimerFired(run.task.key), run.context) == (before, ())
    run.succeed("A")
    ended = run.machine
    assert decide(run.definition, ended, TaskSucceeded(":2", {}), run.context) == (ended, ())


def test_a_timer_cannot_be_ended_like_a_task() -> None:
    run = Run(alone({"Type": "Wait", "Seconds": 1}))
    assert decide(run.definition, run.machine, TaskSucceeded(":1", {}), run.context) == (run.machine, ())
    assert decide(run.definition, run.machine, TaskFailed(":1", "E"), run.context) == (run.machine, ())


def test_a_decision_leaves_its_machine_as_it_is() -> None:
    run = Run(alone(task(Retry=[{"ErrorEquals": ["E"]}])), {"a": [1]})
    before, copy = run.machine, str(run.machine)
    for event in (TaskFailed(":1", "E"), TaskSucceeded(":1", {}), TaskFailed(":1", "F"), Jump("A")):
        decide(run.definition, before, event, run.context)
        assert str(before) == copy


def counting(most: int) -> dict[str, Any]:
    more = {"Variable": "$.n", "NumericLessThan": most, "Next": "Add"}
    return machine(
        "C",
        C={"Type": "Choice", "Choices": [more], "Default": "E"},
        Add={"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": "C"},
        E={"Type": "Succeed"},
    )


def test_states_may_count_but_not_for_ever() -> None:
    assert Run(counting(100), {"n": 0}).output == {"n": 100}
    run = Run(counting(10**9), {"n": 0})
    assert (run.failure.error, run.failure.deliberate) == (RUNTIME, False)
    assert "without a task" in run.failure.cause


def test_the_largest_choice_is_evaluated() -> None:
    rules = [{"Variable": "$.a", "IsPresent": False}] * 6000
    choice = {"Type": "Choice", "Choices": [{"And": rules, "Next": "T"}]}
    assert Run(machine("C", C=choice, T=task())).states == ["T"]


def test_the_longest_chain_is_gone_through() -> None:
    states = {str(number): {"Type": "Pass", "Next": str(number + 1)} for number in range(6000)}
    assert Run({"StartAt": "0", "States": {**states, "6000": {"Type": "Succeed"}}}, {"a": 1}).output == {
        "a": 1
    }


def test_a_circle_that_was_accepted_before_it_was_judged_fails() -> None:
    raw = machine("A", A={"Type": "Pass", "Next": "B"}, B={"Type": "Pass", "Next": "A"})
    decided = start(compile_definition(raw), {}, context_of())
    [end] = decided.actions
    assert isinstance(end, Failed)
    assert (end.error, end.deliberate, decided.machine.ended) == (RUNTIME, False, True)


def test_data_grow_up_to_their_bound() -> None:
    grow = {"Type": "Pass", "Parameters": {"x.$": "States.Format('{}{}', $.x, $.x)"}, "Next": "T"}
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.x", "StringEquals": "", "End": True}],
        "Default": "G",
    }
    run = Run(machine("G", G=grow, T=task(ResultPath=None, Next="C"), C=choice), {"x": "ab"})
    rounds = 0
    while run.end is None:
        run.succeed("T")
        rounds += 1
    assert run.failure.error == DATA_LIMIT
    assert 15 < rounds < 18


def test_nested_data_grow_up_to_their_bound() -> None:
    wrap = {"Type": "Pass", "Parameters": {"x.$": "$"}, "Next": "C"}
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.end", "IsPresent": True, "End": True}],
        "Default": "W",
    }
    run = Run(machine("W", W=wrap, C=choice))
    assert (run.failure.state, run.failure.error) == ("W", DATA_LIMIT)


def test_input_and_output_are_bounded() -> None:
    deep: dict[str, Any] = {}
    for _ in range(150):
        deep = {"a": deep}
    for data in ({"x": "y" * DATA_BYTES}, deep):
        run = Run(alone(task()), data)
        assert run.failure.error == DATA_LIMIT
        assert run.machine.root.input == {}
        run = Run(alone(task()))
        run.succeed("A", **data)
        assert run.failure.error == DATA_LIMIT


def test_the_number_of_tasks_is_bounded() -> None:
    run = Run(machine("A", A=task(Next="B"), B=task()))
    run.machine = Machine(run.machine.root, visits=MOST_VISITS)
    run.succeed("A")
    assert run.failure.error == RUNTIME
