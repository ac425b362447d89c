"""Parallel and Map states: machines inside machines."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pagemill.workflows.decision import CONCURRENT_ITEMS
from pagemill.workflows.failures import BRANCH_FAILED, DATA_LIMIT, PARAMETER_PATH, RUNTIME
from pagemill.workflows.interpreter import MACHINE_BYTES, decide
from pagemill.workflows.machine import Failed, Jump, Machine, StartTimer, TaskSucceeded
from pagemill.workflows.states import MOST_ITEMS
from tests.support.machines import Run, alone, machine, task


def parallel(*branches: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"Type": "Parallel", "Branches": list(branches), **members}


def mapped(processor: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"Type": "Map", "ItemProcessor": processor, **members}


LEFT, RIGHT = machine("L", L=task()), machine("R", R=task(Next="S"), S=task())
ITEM = machine("T", T=task())


def test_branches_run_at_the_same_time() -> None:
    run = Run(alone(parallel(LEFT, RIGHT, ResultPath="$.done")), {"a": 1})
    assert [(action.key, action.state) for action in run.waiting.values()] == [("0:1", "L"), ("1:2", "R")]
    assert run.at("R").input == {"a": 1}  # type: ignore[union-attr]
    run.succeed("R", r=1)
    assert run.states == ["L", "S"]
    run.succeed("L", left=1)
    assert run.states == ["S"]
    run.succeed("S", s=1)
    assert run.output == {"a": 1, "done": [{"left": 1}, {"s": 1}]}


def test_the_result_of_branches_is_selected() -> None:
    state = parallel(LEFT, machine("P", P={"Type": "Pass", "Result": 5, "End": True}))
    run = Run(alone({**state, "Parameters": {"x": 1}, "ResultSelector": {"last.$": "$[1]"}}))
    assert run.task.input == {"x": 1}
    run.succeed("L")
    assert run.output == {"last": 5}


def test_branches_that_do_not_wait_end_at_once() -> None:
    branch = machine("P", P={"Type": "Pass", "End": True})
    assert Run(alone(parallel(branch, ResultPath="$.p")), {"a": 1}).output == {"a": 1, "p": [{"a": 1}]}
    assert Run(alone(mapped(branch, ItemsPath="$.i", ResultPath="$.p")), {"i": []}).output == {
        "i": [],
        "p": [],
    }


def test_a_failed_branch_ends_its_neighbours() -> None:
    slow = machine("W", W={"Type": "Wait", "Seconds": 9, "End": True})
    run = Run(alone(parallel(LEFT, RIGHT, slow)))
    run.fail("R", "Mine", "because")
    assert run.failure == Failed("R", "Mine", "because")
    assert sorted(action.state for action in run.cancelled) == ["L", "W"]


def test_a_branch_that_fails_at_once_starts_no_task() -> None:
    failing = machine("F", F={"Type": "Fail", "Error": "Mine"})
    run = Run(alone(parallel(LEFT, failing, RIGHT)))
    assert (run.failure.error, run.failure.deliberate) == ("Mine", True)
    assert not run.cancelled


@pytest.mark.parametrize("name", ["Mine", BRANCH_FAILED, "States.TaskFailed", "States.ALL"])
def test_the_failure_of_a_branch_can_be_caught(name: str) -> None:
    catch = [{"ErrorEquals": [name], "Next": "B", "ResultPath": "$.e"}]
    run = Run(alone(parallel(LEFT, RIGHT, Catch=catch), B=task()), {"a": 1})
    run.fail("R", "Mine", "because")
    assert run.states == ["B"]
    assert run.task.input == {"a": 1, "e": {"Error": "Mine", "Cause": "because"}}
    assert [action.state for action in run.cancelled] == ["L"]


def test_own_failures_are_none_of_a_branch() -> None:
    catch = [{"ErrorEquals": [BRANCH_FAILED], "Next": "B"}, {"ErrorEquals": [PARAMETER_PATH], "Next": "C"}]
    state = parallel(LEFT, Parameters={"x.$": "$.none"}, Catch=catch)
    assert Run(alone(state, B=task(), C=task())).states == ["C"]


def test_a_runtime_failure_is_not_caught() -> None:
    choice = {"Type": "Choice", "Choices": [{"Variable": "$.none", "IsNull": True, "End": True}]}
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "B"}]
    run = Run(alone(parallel(LEFT, machine("C", C=choice), Catch=catch), B=task()))
    assert (run.failure.state, run.failure.error) == ("C", RUNTIME)


def test_branches_are_tried_again_after_a_delay() -> None:
    retry = [{"ErrorEquals": ["Mine"], "IntervalSeconds": 5, "MaxAttempts": 1}]
    run = Run(alone(parallel(LEFT, RIGHT, Retry=retry)), {"a": 1})
    late = run.at("L").key
    run.succeed("R")
    run.fail("S", "Mine")
    assert run.timer == StartTimer(":4", "A", 5)
    assert decide(run.definition, run.machine, TaskSucceeded(late, {}), run.context).actions == ()
    run.fire("A")
    assert run.states == ["L", "R"]
    assert decide(run.definition, run.machine, TaskSucceeded(late, {}), run.context).actions == ()
    run.fail("R", "Mine")
    assert run.failure == Failed("R", "Mine", "")


def test_a_retry_inside_a_branch_comes_first() -> None:
    inner = machine("L", L=task(End=True, Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 1}]))
    run = Run(alone(parallel(inner, Retry=[{"ErrorEquals": ["E"], "MaxAttempts": 1}])))
    run.fail("L")
    assert run.task.attempt == 2
    run.fail("L")
    assert run.timer.key == ":3"


def test_a_catch_inside_a_branch_comes_first() -> None:
    inner = machine("L", L=task(End=True, Catch=[{"ErrorEquals": ["E"], "Next": "M"}]), M=task())
    run = Run(alone(parallel(inner, RIGHT, Catch=[{"ErrorEquals": ["E"], "Next": "B"}]), B=task()))
    run.fail("L")
    assert run.states == ["R", "M"]


def test_items_are_worked_on() -> None:
    selector = {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value", "of.$": "$.name", "x": 1}
    state = mapped(ITEM, ItemsPath="$.rows", ItemSelector=selector, ResultPath="$.rows")
    run = Run(alone(state), {"name": "n", "rows": ["a", "b"]})
    assert [action.input for action in run.waiting.values()] == [  # type: ignore[union-attr]
        {"i": 0, "v": "a", "of": "n", "x": 1},
        {"i": 1, "v": "b", "of": "n", "x": 1},
    ]
    run.send(TaskSucceeded("1:2", {"r": "b"}))
    run.send(TaskSucceeded("0:1", {"r": "a"}))
    assert run.output == {"name": "n", "rows": [{"r": "a"}, {"r": "b"}]}


def test_the_older_names_of_a_map_are_known() -> None:
    state = {"Type": "Map", "Iterator": ITEM, "ItemsPath": "$.i", "Parameters": {"v.$": "$$.Map.Item.Value"}}
    run = Run(alone({**state, "ResultSelector": {"first.$": "$[0]"}}), {"i": [7]})
    assert run.task.input == {"v": 7}
    run.succeed("T", a=1)
    assert run.output == {"first": {"a": 1}}


@pytest.mark.parametrize(
    ("members", "most"),
    [
        ({}, CONCURRENT_ITEMS),
        ({"MaxConcurrency": 0}, CONCURRENT_ITEMS),
        ({"MaxConcurrency": 1}, 1),
        ({"MaxConcurrency": 7}, 7),
        ({"MaxConcurrencyPath": "$.most"}, 3),
    ],
)
def test_so_many_items_are_worked_on_at_the_same_time(members: dict[str, Any], most: int) -> None:
    run = Run(alone(mapped(ITEM, ItemsPath="$.i", ResultPath="$.o", **members)), {"i": [{}] * 50, "most": 3})
    done = 0
    while run.end is None:
        assert len(run.waiting) == min(most, 50 - done)
        run.succeed("T", n=done)
        done += 1
    assert sorted(one["n"] for one in run.output["o"]) == list(range(50))


def test_items_come_in_the_order_of_the_list() -> None:
    run = Run(
        alone(mapped(ITEM, ItemsPath="$.i", ResultPath="$.o", MaxConcurrency=2)),
        {"i": [{"n": n} for n in range(5)]},
    )
    while run.end is None:
        action = list(run.waiting.values())[-1]
        run.send(TaskSucceeded(action.key, action.input))  # type: ignore[union-attr]
    assert run.output["o"] == run.output["i"]


@pytest.mark.parametrize("items", [None, {}, "text", 1, [{}] * (MOST_ITEMS + 1)])
def test_items_are_a_bounded_list(items: Any) -> None:
    run = Run(alone(mapped(ITEM, ItemsPath="$.i")), {"i": items})
    assert (run.failure.state, run.failure.error) == ("A", RUNTIME)


def test_missing_items_can_be_caught() -> None:
    catch = [{"ErrorEquals": [PARAMETER_PATH], "Next": "B"}]
    assert Run(alone(mapped(ITEM, ItemsPath="$.i", Catch=catch), B=task())).states == ["B"]


def test_a_failed_item_fails_the_map() -> None:
    run = Run(alone(mapped(ITEM, ItemsPath="$.i")), {"i": [{}] * 3})
    run.succeed("T")
    run.fail("T", "Mine")
    assert run.failure == Failed("T", "Mine", "")
    assert len(run.cancelled) == 1


def test_machines_inside_machines() -> None:
    inner = mapped(ITEM, ItemsPath="$.i", MaxConcurrency=1, ResultPath="$.o", End=True)
    run = Run(alone(parallel(machine("M", M=inner), LEFT, ResultSelector={"all.$": "$"})), {"i": [{}, {}]})
    assert [action.key for action in run.waiting.values()] == ["0/0:1", "1:2"]
    run.succeed("T", a=1)
    assert run.at("T").key == "0/1:3"
    run.succeed("L", b=1)
    run.succeed("T", a=2)
    assert run.output == {"all": [{"i": [{}, {}], "o": [{"a": 1}, {"a": 2}]}, {"b": 1}]}


def test_an_inner_failure_crosses_machines_until_it_is_caught() -> None:
    inner = mapped(ITEM, ItemsPath="$.i", End=True)
    catch = [{"ErrorEquals": [BRANCH_FAILED], "Next": "B"}]
    run = Run(alone(parallel(machine("M", M=inner), LEFT, Catch=catch), B=task()), {"i": [{}, {}]})
    run.fail("T", "Mine")
    assert run.states == ["B"]
    assert len(run.cancelled) == 2


def test_going_on_with_another_state_leaves_the_branches() -> None:
    run = Run(alone(parallel(LEFT, RIGHT), B=task()), {"a": 1})
    run.send(Jump("B"))
    assert sorted(action.state for action in run.cancelled) == ["L", "R"]
    assert run.task.input == {"a": 1}


def test_random_values_of_branches_differ() -> None:
    branch = [
        machine(f"W{n}", **{f"W{n}": {"Type": "Wait", "Seconds": 1, "Next": f"U{n}"},
                            f"U{n}": {"Type": "Pass", "Parameters": {"u.$": "States.UUID()"}, "End": True}})
        for n in range(3)
    ]  # fmt: skip
    run = Run(alone(parallel(*branch, ResultSelector={"all.$": "$[*].u"})))
    for n in (2, 0, 1):
        run.fire(f"W{n}")
    assert len(set(run.output["all"])) == 3


def test_the_data_of_all_branches_are_bounded_together() -> None:
    large = "x" * 200_000
    run = Run(alone(mapped(ITEM, ItemsPath="$.i", ItemSelector={"x.$": "$.x"})), {"i": [{}] * 39, "x": large})
    assert 39 * len(large) > MACHINE_BYTES
    assert run.failure.error == DATA_LIMIT
    assert not run.cancelled
    run = Run(alone(mapped(ITEM, ItemsPath="$.i", ItemSelector={"x.$": "$.x"})), {"i": [{}] * 15, "x": large})
    assert len(run.waiting) == 15
    for _ in range(15):
        if run.end is None:
            run.succeed("T", y="y" * 250_000)
    assert run.failure.error == DATA_LIMIT


def test_a_machine_without_results_is_small() -> None:
    run = Run(alone(mapped(ITEM, ItemsPath="$.i", ResultPath=None)), {"i": [{}] * 100})
    assert len(msgspec.json.encode(run.machine)) < 150 * CONCURRENT_ITEMS
    while run.end is None:
        run.succeed("T")
    assert len(msgspec.json.encode(run.machine)) < 500
    assert isinstance(run.machine, Machine)
