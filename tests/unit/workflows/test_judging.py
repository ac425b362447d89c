"""Judgement of definitions: circles, ends and names."""

from __future__ import annotations

from typing import Any

import pytest

from pagemill.errors import BadRequest
from pagemill.workflows.judging import read_definition
from tests.support.machines import alone, machine, task

PLACE = "specification.definition.States."


def on(following: str, **members: Any) -> dict[str, Any]:
    return {"Type": "Pass", "Next": following, **members}


def choice(*targets: str | None, default: str | None = None) -> dict[str, Any]:
    rules = [
        {"Variable": "$.a", "IsPresent": True, **({"End": True} if target is None else {"Next": target})}
        for target in targets
    ]
    return {"Type": "Choice", "Choices": rules, **({} if default is None else {"Default": default})}


END = {"Type": "Succeed"}


def refused(definition: dict[str, Any]) -> str:
    with pytest.raises(BadRequest) as caught:
        read_definition(definition)
    return caught.value.message


@pytest.mark.parametrize(
    ("states", "named"),
    [
        ({"A": on("A")}, "A: goes round without a Task or Wait state: A"),
        ({"A": on("B"), "B": on("A")}, "goes round without a Task or Wait state: "),
        ({"A": choice("B", default="E"), "B": on("A"), "E": END}, "goes round"),
        ({"A": choice("A", default="E"), "E": END}, "A: goes round without a Task or Wait state: A"),
        ({"A": on("B"), "B": on("C"), "C": choice("B", None), "D": END}, "goes round"),
        ({"A": on("E"), "B": on("B"), "E": END}, "B: goes round without a Task or Wait state: B"),
        ({"A": on("B", ResultPath=None), "B": on("A")}, "goes round"),
        ({"A": on("A", Result={"a": 1})}, "A: no end can be reached from it"),
        ({"A": task(Next="A")}, "A: no end can be reached from it"),
        ({"A": task(Next="B"), "B": task(Next="A")}, "A: no end can be reached from it"),
        (
            {"A": choice(None, default="B"), "B": {"Type": "Wait", "Seconds": 1, "Next": "B"}},
            "B: no end can be",
        ),
        (
            {"A": task(Next="E", Catch=[{"ErrorEquals": ["E"], "Next": "B"}]), "B": task(Next="B"), "E": END},
            "B: no",
        ),
    ],
)
def test_circles_and_missing_ends_are_refused(states: dict[str, Any], named: str) -> None:
    message = refused(machine("A", **states))
    assert message.startswith(PLACE)
    assert named in message


def test_the_states_of_a_circle_are_named_in_order() -> None:
    message = refused(machine("A", A=on("B"), B=on("C"), C=on("D"), D=on("B")))
    assert message.endswith(("B, C, D", "C, D, B", "D, B, C"))
    many = {f"S{number}": on(f"S{(number + 1) % 10}") for number in range(10)}
    assert "and 6 others" in refused(machine("S0", **many))


@pytest.mark.parametrize(
    "states",
    [
        # It counts, so it can be left.
        {"A": choice("E", default="B"), "B": on("A", Parameters={"n.$": "States.MathAdd($.n, 1)"}), "E": END},
        {"A": choice("E", default="B"), "B": on("A", Result={"a": 1}), "E": END},
        {"A": choice("E", default="B"), "B": on("A", OutputPath="$.next"), "E": END},
        # It waits.
        {"A": choice("E", default="B"), "B": {"Type": "Wait", "Seconds": 1, "Next": "A"}, "E": END},
        {"A": task(Next="B"), "B": choice(None, default="A")},
        {"A": task(End=True, Catch=[{"ErrorEquals": ["E"], "Next": "A"}])},
        # Nothing leads to it.
        {"A": END, "B": task(Next="B")},
        {"A": task("las:transition:commons-failed", Next="A")},
    ],
)
def test_circles_that_wait_or_change_the_data_are_allowed(states: dict[str, Any]) -> None:
    assert read_definition(machine("A", **states))


def test_branches_are_judged_too() -> None:
    inner = machine("B", B=on("B"))
    assert refused(alone({"Type": "Parallel", "Branches": [inner]})).startswith(
        f"{PLACE}A.Branches[0].States.B: "
    )
    assert refused(alone({"Type": "Map", "ItemProcessor": inner})).startswith(
        f"{PLACE}A.ItemProcessor.States.B: "
    )
    same = machine("A", A=END)
    assert "A.Iterator.States.A: another state has the same name" in refused(
        alone({"Type": "Map", "Iterator": same})
    )
