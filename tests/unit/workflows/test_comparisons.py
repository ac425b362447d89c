"""Rules of Choice states on data."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.errors import BadRequest
from pagemill.workflows.choices import DEEPEST_RULE, holds, read_branch, read_rule
from pagemill.workflows.comparisons import COMPARATORS, TYPE_TESTS, matches_wildcards
from pagemill.workflows.expressions import Scope
from pagemill.workflows.paths import MISSING, PathMissing, read_reference
from pagemill.workflows.work_bounds import Work

EARLY, LATE = "2024-01-01T00:00:00Z", "2024-01-01T00:30:00.5-01:00"


def rule_holds(rule: dict[str, Any], data: Any) -> bool:
    return holds(read_rule(rule, "rule"), Scope(data, {}, Work("e1")))


def test_every_comparison_of_the_language_is_known() -> None:
    orders = ("Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals")
    expected = {f"{kind}{order}" for kind in ("String", "Numeric", "Timestamp") for order in orders}
    expected |= {f"{name}Path" for name in expected} | {"BooleanEquals", "BooleanEqualsPath", "StringMatches"}
    assert set(COMPARATORS) == expected
    assert set(TYPE_TESTS) == {"IsNull", "IsString", "IsNumeric", "IsBoolean", "IsTimestamp"}


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("String", "a", "b"), ("Numeric", 1, 1.5), ("Numeric", -(10**30), 0), ("Timestamp", EARLY, LATE)],
)
@pytest.mark.parametrize(
    ("order", "when_lower", "when_equal", "when_higher"),
    [
        ("Equals", False, True, False),
        ("LessThan", True, False, False),
        ("LessThanEquals", True, True, False),
        ("GreaterThan", False, False, True),
        ("GreaterThanEquals", False, True, True),
    ],
)
def test_orders(
    kind: str, low: Any, high: Any, order: str, when_lower: bool, when_equal: bool, when_higher: bool
) -> None:
    for left, right, expected in (
        (low, high, when_lower),
        (low, low, when_equal),
        (high, low, when_higher),
    ):
        data = {"left": left, "right": right}
        assert rule_holds({"Variable": "$.left", f"{kind}{order}": right}, data) is expected
        assert rule_holds({"Variable": "$.left", f"{kind}{order}Path": "$.right"}, data) is expected


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ({"BooleanEquals": True}, True, True),
        ({"BooleanEquals": True}, False, False),
        ({"BooleanEquals": True}, 1, False),
        ({"NumericEquals": 1}, True, False),
        ({"NumericEquals": 1}, "1", False),
        ({"StringEquals": "1"}, 1, False),
        ({"StringEquals": "1"}, None, False),
        ({"TimestampEquals": EARLY}, "2024-01-01T01:00:00+01:00", True),
        ({"TimestampEquals": EARLY}, "2024-01-01", False),
        ({"TimestampLessThan": EARLY}, "2024-13-01T00:00:00Z", False),
        ({"TimestampLessThan": EARLY}, "0001-01-01T00:00:00+23:59", True),
        ({"TimestampGreaterThan": EARLY}, "9999-12-31T23:59:59-23:59", True),
        ({"StringMatches": "log-*.txt"}, "log-1.txt", True),
        ({"StringMatches": "log-*.txt"}, 7, False),
        ({"IsNull": True}, None, True),
        ({"IsNull": False}, 0, True),
        ({"IsPresent": True}, None, True),
        ({"IsString": True}, "a", True),
        ({"IsNumeric": True}, 1.5, True),
        ({"IsNumeric": True}, True, False),
        ({"IsBoolean": True}, False, True),
        ({"IsBoolean": False}, False, False),
        ({"IsTimestamp": True}, EARLY, True),
        ({"IsTimestamp": True}, "now", False),
    ],
)
def test_values_of_other_kinds_do_not_match(rule: dict[str, Any], value: Any, expected: bool) -> None:
    assert rule_holds({"Variable": "$.a", **rule}, {"a": value}) is expected


def test_is_present_is_the_only_test_of_a_missing_value() -> None:
    assert rule_holds({"Variable": "$.a", "IsPresent": False}, {})
    assert not rule_holds({"Variable": "$.a.b", "IsPresent": True}, {"a": 1})
    for rule in ({"IsNull": True}, {"BooleanEquals": False}, {"StringEqualsPath": "$.b"}):
        with pytest.raises(PathMissing, match=r"\$\.a"):
            rule_holds({"Variable": "$.a", **rule}, {"b": "x"})
    with pytest.raises(PathMissing, match=r"\$\.b"):
        rule_holds({"Variable": "$.a", "StringEqualsPath": "$.b"}, {"a": "x"})


def test_is_present_guards_the_rules_after_it() -> None:
    rule = {
        "And": [
            {"Variable": "$.a", "IsPresent": True},
            {"Variable": "$.a", "NumericGreaterThan": 1},
            {"Not": {"Variable": "$.a", "NumericEquals": 3}},
        ]
    }
    assert [rule_holds(rule, data) for data in ({}, {"a": 1}, {"a": 2}, {"a": 3})] == [
        False,
        False,
        True,
        False,
    ]
    either = {"Or": [{"Variable": "$.a", "IsPresent": False}, {"Variable": "$.a", "IsNull": True}]}
    assert [rule_holds(either, data) for data in ({}, {"a": None}, {"a": 1})] == [True, True, False]


LEAVES = st.sampled_from("abc").map(lambda name: {"Variable": f"$.{name}", "BooleanEquals": True})
RULES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda rules: {"And": rules}),
        st.lists(inner, min_size=1, max_size=3).map(lambda rules: {"Or": rules}),
        inner.map(lambda rule: {"Not": rule}),
    ),
    max_leaves=8,
)


def by_python(rule: dict[str, Any], data: dict[str, bool]) -> bool:
    if "And" in rule:
        return all(by_python(inner, data) for inner in rule["And"])
    if "Or" in rule:
        return any(by_python(inner, data) for inner in rule["Or"])
    if "Not" in rule:
        return not by_python(rule["Not"], data)
    return data[rule["Variable"][2:]]


@given(RULES, st.fixed_dictionaries({name: st.booleans() for name in "abc"}))
def test_rules_inside_rules(rule: dict[str, Any], data: dict[str, bool]) -> None:
    assert rule_holds(rule, data) is by_python(rule, data)


@given(st.text(alphabet="ab*", max_size=12), st.text(alphabet="ab*\\", max_size=8))
def test_wildcards_match_like_the_regular_expression(value: str, pattern: str) -> None:
    expression = re.sub(
        r"\\?.|\\", lambda part: ".*" if part[0] == "*" else re.escape(part[0][-1]), pattern, flags=re.DOTALL
    )
    assert matches_wildcards(value, pattern) is (re.fullmatch(expression, value, re.DOTALL) is not None)


def test_wildcards_take_linear_time() -> None:
    assert not matches_wildcards("a" * 100_000, "*a" * 1000 + "b")


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ([], "rule: must be an object"),
        ({}, "rule: must have Variable"),
        ({"Variable": "$.a"}, "rule: must have Variable and one comparison"),
        ({"StringEquals": "a"}, "rule: must have Variable"),
        ({"Variable": "$.a", "StringEquals": "a", "IsNull": True}, "one comparison"),
        ({"Variable": "$.a", "StringLike": "a"}, "rule.StringLike: is not a known comparison"),
        ({"Variable": "$.a", "And": []}, "rule.And: is not a known comparison"),
        ({"Variable": "$.a", "StringEquals": 1}, "rule.StringEquals"),
        ({"Variable": "$.a", "NumericEquals": True}, "rule.NumericEquals"),
        ({"Variable": "$.a", "BooleanEquals": "true"}, "rule.BooleanEquals"),
        ({"Variable": "$.a", "TimestampEquals": "today"}, "rule.TimestampEquals"),
        ({"Variable": "$.a", "IsNull": 1}, "rule.IsNull"),
        ({"Variable": "$.a", "StringEqualsPath": "b"}, "rule.StringEqualsPath"),
        ({"Variable": "a", "IsNull": True}, "rule.Variable"),
        ({"Variable": 1, "IsNull": True}, "rule.Variable"),
        ({"Variable": "$..a", "IsNull": True}, "rule.Variable: must name a single value"),
        ({"Variable": "$" + ".a" * 300, "IsNull": True}, "rule.Variable"),
        ({"And": []}, "rule.And: must be a list"),
        ({"And": {"Variable": "$.a", "IsNull": True}}, "rule.And: must be a list"),
        ({"Or": [{"Variable": "$.a", "IsNull": True}, 1]}, "rule.Or[1]"),
        ({"Not": []}, "rule.Not"),
    ],
)
def test_bad_rules_are_named(rule: Any, named: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_rule(rule, "rule")
    assert named in caught.value.message


def test_depth_is_bounded() -> None:
    rule: dict[str, Any] = {"Variable": "$.a", "IsNull": True}
    for _ in range(DEEPEST_RULE - 1):
        rule = {"Not": rule}
    read_rule(rule, "rule")
    with pytest.raises(BadRequest, match="nested too deeply"):
        read_rule({"Not": rule}, "rule")


@pytest.mark.parametrize("ending", [{}, {"End": False}, {"End": True, "Next": "a"}, {"Next": 1}, {"End": 1}])
def test_a_branch_has_one_target(ending: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="must have either"):
        read_branch({"Variable": "$.a", "IsNull": True, **ending}, "branch")


def test_a_branch_may_end_the_execution() -> None:
    rule = {"Variable": "$.a", "IsNull": True, "Comment": "nothing"}
    assert read_branch({**rule, "End": True}, "branch").next is None
    assert read_branch({**rule, "Next": "a"}, "branch").next == "a"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", {"a": [1, {"b-c": None}], "d": "text"}),
        ("$.a[1]['b-c']", None),
        ("$.a[-2]", 1),
        ("$['a'][0]", 1),
        ("$.x", MISSING),
        ("$.a[2]", MISSING),
        ("$.d[0]", MISSING),
        ("$.a.x", MISSING),
    ],
)
def test_paths(path: str, value: Any) -> None:
    data = {"a": [1, {"b-c": None}], "d": "text"}
    assert read_reference(path, "path").find(data) == value


@pytest.mark.parametrize(
    "path",
    ["", "a", "$.", "$$$", "$.*", "$.a[*]", "$..a", "$.a[0:1]", "$.a[0,1]", "$[?@.a]", "$.a | $.b", None],
)
def test_bad_paths_are_refused(path: Any) -> None:
    with pytest.raises(BadRequest, match="path"):
        read_reference(path, "path")


@given(st.text(alphabet="$.ab[]'0*?@()&|!= ", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        path = read_reference(f"${text}", "path")
    except BadRequest:
        return
    path.find({"a": [{"b": 1}]})
