"""Templates: objects whose members named ``x.$`` are computed."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.workflows.expressions import Literal, Scope, evaluate, read_template
from pagemill.workflows.failures import DATA_LIMIT, PARAMETER_PATH, StateFailed, WorkSpent
from pagemill.workflows.work_bounds import DATA_BYTES, DEEPEST_DATA, Work, is_shallow

DATA = {"a": {"b": [1, {"c": 2}]}, "n": None}


def made(raw: Any, data: Any = DATA) -> Any:
    return evaluate(read_template(raw, "member"), Scope(data, {"State": {"Name": "A"}}, Work("e1")))


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ({}, {}),
        ({"x": 1}, {"x": 1}),
        ({"x.$": "$.a.b[1].c"}, {"x": 2}),
        ({"x.$": "$.n"}, {"x": None}),
        ({"x.$": "$.a.b[*].c"}, {"x": [2]}),
        ({"x.$": "$.a.none[*]"}, None),
        ({"x.$": "$.a.b[5:]"}, {"x": []}),
        ({"x.$": "$$.State.Name"}, {"x": "A"}),
        ({"x": {"y": [{"z.$": "$.a.b[0]"}, "$.a"]}}, {"x": {"y": [{"z": 1}, "$.a"]}}),
        ({".$": "$.a.b[0]"}, {"": 1}),
        ({"x$": "$.a", "$": 1}, {"x$": "$.a", "$": 1}),
        ({"x.$": "$"}, {"x": DATA}),
    ],
)
def test_templates(raw: Any, value: Any) -> None:
    if value is None:
        with pytest.raises(StateFailed) as failure:
            made(raw)
        assert failure.value.error == PARAMETER_PATH
        assert raw["x.$"] in failure.value.cause
    else:
        assert made(raw) == value


def test_constants_are_not_copied() -> None:
    raw = {"x": [1, {"y": 2}]}
    template = read_template(raw, "member")
    assert isinstance(template, Literal)
    assert template.value is raw


@given(st.integers(1, 10))
def test_what_a_template_makes_is_bounded_together(copies: int) -> None:
    data = {"x": "y" * 60_000}
    raw = {f"{copy}.$": "$.x" for copy in range(copies)}
    if copies * 60_002 <= DATA_BYTES:
        assert len(made(raw, data)) == copies
    else:
        with pytest.raises(StateFailed) as failure:
            made(raw, data)
        assert failure.value.error == DATA_LIMIT


def test_the_work_of_a_decision_is_bounded() -> None:
    work = Work("e1")
    scope = Scope({"x": list(range(40_000))}, {}, work)
    template = read_template({"x.$": "States.ArrayLength($.x)"}, "member")
    values = []
    with contextlib.suppress(WorkSpent):
        while len(values) < 10_000:
            values.append(evaluate(template, scope))
    assert 10 < len(values) < 1000


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value, {}]
    return value


@pytest.mark.parametrize("levels", [DEEPEST_DATA, DEEPEST_DATA + 1, 5000])
def test_the_depth_of_data_is_bounded(levels: int) -> None:
    value = nested(levels)
    assert is_shallow(value) is (levels <= DEEPEST_DATA)
    if levels <= DEEPEST_DATA:
        assert Work("e1").measure(value) > levels
    else:
        with pytest.raises(StateFailed, match="nested deeper"):
            Work("e1").measure(value)
