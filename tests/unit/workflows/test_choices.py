"""Rules of Choice states: read or refused by name, and evaluated on data."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.errors import BadRequest
from pagemill.workflows.choices import DEEPEST_RULE, Branch, holds, read_branch, read_rule
from pagemill.workflows.expressions import Scope
from pagemill.workflows.paths import PathMissing
from pagemill.workflows.work_bounds import Work

DATA: dict[str, Any] = {
    "total": 47.9,
    "count": 3,
    "name": "Acme",
    "also": "Acme",
    "time": "2026-11-28T03:00:00Z",
    "flag": True,
    "nothing": None,
    "inner": {"total": 12},
    "list": [1, 2],
}


def comparison(operator: str, expected: Any, variable: str = "$.total") -> dict[str, Any]:
    return {"Variable": variable, operator: expected}


def outcome(rule: dict[str, Any]) -> bool:
    return holds(read_rule(rule, "rule"), Scope(DATA, {"State": {"Name": "C"}}, Work("e1")))


@pytest.mark.parametrize(
    ("operator", "variable", "expected", "result"),
    [
        ("NumericEquals", "$.total", 47.9, True),
        ("NumericGreaterThan", "$.count", 3, False),
        ("NumericGreaterThanEquals", "$.count", 3, True),
        ("NumericLessThan", "$.inner.total", 12.5, True),
        ("NumericEqualsPath", "$.count", "$.list[1]", False),
        ("StringEquals", "$.name", "Acme", True),
        ("StringEquals", "$.name", "acme", False),
        ("StringEqualsPath", "$.name", "$.also", True),
        ("StringMatches", "$.name", "A*e", True),
        ("StringLessThan", "$.name", "B", True),
        ("BooleanEquals", "$.flag", True, True),
        ("TimestampLessThan", "$.time", "2026-12-01T00:00:00Z", True),
        ("TimestampEquals", "$.time", "2026-11-28T04:00:00+01:00", True),
        ("IsPresent", "$.total", True, True),
        ("IsPresent", "$.missing", True, False),
        ("IsPresent", "$.missing", False, True),
        ("IsNull", "$.nothing", True, True),
        ("IsNull", "$.name", False, True),
        ("IsString", "$.total", False, True),
        ("IsNumeric", "$.total", True, True),
        ("IsBoolean", "$.flag", True, True),
        ("IsTimestamp", "$.time", True, True),
        ("StringEquals", "$$.State.Name", "C", True),
        ("StringEqualsPath", "$.name", "$$.State.Name", False),
    ],
)
def test_comparisons(operator: str, variable: str, expected: Any, result: bool) -> None:
    assert outcome(comparison(operator, expected, variable)) is result


@pytest.mark.parametrize(
    ("operator", "variable", "expected"),
    [
        ("NumericEquals", "$.name", 5),
        ("StringEquals", "$.count", "3"),
        ("BooleanEquals", "$.count", True),
        ("NumericEquals", "$.flag", 1),
        ("TimestampEquals", "$.name", "2026-11-28T03:00:00Z"),
        ("StringEqualsPath", "$.name", "$.count"),
    ],
)
def test_a_value_of_another_kind_is_no_match(operator: str, variable: str, expected: Any) -> None:
    assert not outcome(comparison(operator, expected, variable))


@pytest.mark.parametrize(
    "rule",
    [
        comparison("NumericEquals", 1, "$.missing"),
        comparison("IsNull", True, "$.missing"),
        comparison("StringEqualsPath", "$.missing", "$.name"),
        {"Not": comparison("NumericEquals", 1, "$.missing")},
        {"And": [comparison("IsPresent", True), comparison("NumericEquals", 1, "$.missing")]},
    ],
)
def test_a_value_that_is_missing_is_named(rule: dict[str, Any]) -> None:
    with pytest.raises(PathMissing) as missing:
        outcome(rule)
    assert missing.value.path == "$.missing"


TRUE, FALSE = comparison("IsPresent", True), comparison("IsPresent", False)
RAISES = comparison("NumericEquals", 1, "$.missing")


@pytest.mark.parametrize(
    ("rule", "result"),
    [
        ({"Not": TRUE}, False),
        ({"Not": {"Not": TRUE}}, True),
        ({"And": [TRUE, TRUE]}, True),
        ({"And": [TRUE, FALSE]}, False),
        ({"Or": [FALSE, TRUE]}, True),
        ({"Or": [FALSE, FALSE]}, False),
        ({"And": [TRUE, {"Or": [FALSE, {"Not": FALSE}]}]}, True),
        ({"And": [FALSE, RAISES]}, False),
        ({"Or": [TRUE, RAISES]}, True),
    ],
)
def test_rules_are_combined_and_stop_when_it_is_decided(rule: dict[str, Any], result: bool) -> None:
    assert outcome(rule) is result


def test_a_comment_is_no_rule() -> None:
    assert outcome({"Comment": "whenever", "Not": FALSE})


def nested(depth: int) -> dict[str, Any]:
    rule = TRUE
    for _ in range(depth):
        rule = {"Not": rule}
    return rule


def test_rules_may_be_nested_so_deep() -> None:
    assert outcome(nested(DEEPEST_RULE - 1)) is (DEEPEST_RULE % 2 == 1)
    with pytest.raises(BadRequest, match="nested too deeply"):
        read_rule(nested(DEEPEST_RULE), "rule")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ([], r"^rule: must be an object"),
        ({}, r"^rule: must have Variable"),
        ({"Variable": "$.a"}, r"^rule: must have Variable"),
        ({"NumericEquals": 1}, r"^rule: must have Variable"),
        ({"Variable": "$.a", "NumericEquals": 1, "StringEquals": "b"}, r"^rule: must have Variable"),
        (comparison("Equals", 1), r"^rule\.Equals: is not a known comparison"),
        (comparison("NumericEquals", "1"), r"^rule\.NumericEquals: .* must be a numeric"),
        (comparison("StringEquals", 1), r"^rule\.StringEquals: .* must be a string"),
        (comparison("TimestampEquals", "today"), r"^rule\.TimestampEquals: .* must be a timestamp"),
        (comparison("IsPresent", "yes"), r"^rule\.IsPresent: must be true or false"),
        (comparison("IsPresent", True, "total"), r"^rule\.Variable: is not a path"),
        (comparison("NumericEqualsPath", "$..a"), r"^rule\.NumericEqualsPath: must name a single value"),
        ({"And": []}, r"^rule\.And: must be a list of rules"),
        ({"Or": TRUE}, r"^rule\.Or: must be a list of rules"),
        ({"Or": [TRUE, {"Not": 1}]}, r"^rule\.Or\[1\]\.Not: must be an object"),
    ],
)
def test_what_is_wrong_is_named(rule: Any, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        read_rule(rule, "rule")


@pytest.mark.parametrize(("following", "state"), [({"Next": "Review"}, "Review"), ({"End": True}, None)])
def test_a_branch_goes_on_or_ends(following: dict[str, Any], state: str | None) -> None:
    branch = read_branch(TRUE | following, "branch")
    assert isinstance(branch, Branch)
    assert branch.next == state


@pytest.mark.parametrize(
    "following", [{}, {"End": False}, {"Next": 1}, {"Next": "a", "End": True}, {"End": "yes"}]
)
def test_a_branch_has_either_a_state_or_an_end(following: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=r"^branch: must have either Next"):
        read_branch(TRUE | following, "branch")


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)


@given(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner)))
def test_any_rule_is_read_or_refused(raw: Any) -> None:
    with contextlib.suppress(BadRequest):
        read_rule(raw, "rule")
