"""Intrinsic functions: what they give, and how they fail."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.errors import BadRequest
from pagemill.workflows.expressions import DEEPEST_CALL, LONGEST_CALL, Scope, evaluate, read_expression
from pagemill.workflows.failures import DATA_LIMIT, INTRINSIC, PARAMETER_PATH, StateFailed
from pagemill.workflows.intrinsic_functions import FUNCTIONS, LONGEST_RANGE
from pagemill.workflows.work_bounds import DATA_BYTES, Work

DATA: dict[str, Any] = {
    "name": "Åse",
    "template": "Dear {}",
    "n": 3,
    "whole": 4.0,
    "half": 0.5,
    "yes": True,
    "nothing": None,
    "list": [1, 2, 3, 4, 5],
    "rows": [{"id": "a"}, {"id": "b"}],
    "json": '{"a": [1, null]}',
    "odd (name)": "odd",
}


def call(text: str, data: Any = DATA, *, seed: str = "e1", draws: int = 0) -> Any:
    scope = Scope(data, {"Execution": {"Id": "e1"}}, Work(seed, draws))
    return evaluate(read_expression(text, "member"), scope)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("States.Format('Dear {}, {} of {}', $.name, $.n, States.ArrayLength($.list))", "Dear Åse, 3 of 5"),
        (r"States.Format('\{\} it\'s {} \\')", None),
        (r"States.Format('\{\} it\'s {} \\', 1)", "{} it's 1 \\"),
        ("States.Format($.template, 'Bo')", "Dear Bo"),
        ("States.Format('{}{}{}', true, null, $.rows[0])", 'truenull{"id":"a"}'),
        ("States.Format('none')", "none"),
        ("States.StringToJson($.json)", {"a": [1, None]}),
        ("States.StringToJson('1.50')", 1.5),
        ("States.JsonToString($.rows)", '[{"id":"a"},{"id":"b"}]'),
        ("States.JsonToString('é')", '"é"'),
        ("States.Array()", []),
        ("States.Array(1, -2.5, 1e2, 'a', $.n, null, false)", [1, -2.5, 100.0, "a", 3, None, False]),
        ("States.Array($.rows[*].id)", [["a", "b"]]),
        ("States.ArrayPartition($.list, 2)", [[1, 2], [3, 4], [5]]),
        ("States.ArrayPartition(States.Array(), 2)", []),
        ("States.ArrayContains($.list, 5)", True),
        ("States.ArrayContains($.list, 5.0)", True),
        ("States.ArrayContains($.list, '5')", False),
        ("States.ArrayContains($.list, true)", False),
        ("States.ArrayContains($.rows, $.rows[1])", True),
        ("States.ArrayContains(States.Array($.yes), 1)", False),
        ("States.ArrayRange(1, 9, 2)", [1, 3, 5, 7, 9]),
        ("States.ArrayRange(1, 8, 2)", [1, 3, 5, 7]),
        ("States.ArrayRange(3, 1, -1)", [3, 2, 1]),
        ("States.ArrayRange(1, 0, 1)", []),
        ("States.ArrayRange(5, 5, 9)", [5]),
        ("States.ArrayGetItem($.list, 4)", 5),
        ("States.ArrayGetItem($.list, $.whole)", 5),
        ("States.ArrayLength($.rows)", 2),
        ("States.ArrayUnique(States.Array(2, 1, 2.0, 'b', 'b', true, 1))", [2, 1, "b", True]),
        ("States.ArrayUnique(States.Array($.rows, $.rows))", [[{"id": "a"}, {"id": "b"}]]),
        ("States.Base64Encode($.name)", "w4VzZQ=="),
        ("States.Base64Decode('w4VzZQ==')", "Åse"),
        ("States.Hash('a', 'SHA-256')", hashlib.sha256(b"a").hexdigest()),
        ("States.Hash('a', 'MD5')", hashlib.md5(b"a", usedforsecurity=False).hexdigest()),
        ("States.Hash('a', 'SHA-1')", hashlib.sha1(b"a", usedforsecurity=False).hexdigest()),
        ("States.Hash('a', 'SHA-384')", hashlib.sha384(b"a").hexdigest()),
        ("States.Hash('a', 'SHA-512')", hashlib.sha512(b"a").hexdigest()),
        ("States.JsonMerge($.rows[0], States.StringToJson('{\"b\":1}'), false)", {"id": "a", "b": 1}),
        ("States.JsonMerge($.rows[0], $.rows[1])", {"id": "b"}),
        ("States.MathAdd($.n, -5)", -2),
        ("States.MathAdd($.whole, 1)", 5),
        ("States.StringSplit('1,2,,3.4', ',.')", ["1", "2", "3", "4"]),
        ("States.StringSplit('a]b', ']')", ["a", "b"]),
        ("States.StringSplit('', ',')", []),
        ("  ", None),
        ("States.ArrayLength( $.list )", 5),
        ("States.Format('{}', $['odd (name)'])", "odd"),
        ("States.Format('{}', $$.Execution.Id)", "e1"),
    ],
)
def test_functions(text: str, value: Any) -> None:
    if value is None:
        with pytest.raises(BadRequest):
            call(text)
    else:
        found = call(text)
        assert found == value
        assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "States.Format($.template)",
        "States.Format($.n)",
        "States.Format($.list, 1)",
        "States.StringToJson('{')",
        "States.StringToJson($.n)",
        "States.StringToJson('NaN')",
        "States.StringToJson('1e999')",
        r"States.StringToJson('\"\\u0000\"')",
        "States.JsonMerge($.rows[0], $.n)",
        "States.JsonMerge($.rows[0], $.rows[1], true)",
        "States.ArrayPartition($.list, 0)",
        "States.ArrayPartition($.n, 1)",
        "States.ArrayContains($.n, 1)",
        "States.ArrayRange(1, 3, 0)",
        f"States.ArrayRange(1, {LONGEST_RANGE + 1}, 1)",
        "States.ArrayRange(1, -9000000000000000000, -1)",
        "States.ArrayRange(1, $.half, 1)",
        "States.ArrayGetItem($.list, 5)",
        "States.ArrayGetItem($.list, -1)",
        "States.ArrayGetItem($.list, true)",
        "States.ArrayLength($.name)",
        "States.ArrayUnique($.name)",
        "States.Base64Encode($.n)",
        "States.Base64Decode('!')",
        "States.Base64Decode('/w==')",
        "States.Base64Decode('AA==')",
        "States.Hash('a', 'SHA-3')",
        "States.Hash('a', $.list)",
        "States.Hash($.n, 'MD5')",
        "States.MathAdd($.n, $.half)",
        "States.MathAdd($.n, $.name)",
        "States.MathAdd($.n, true)",
        "States.MathAdd(9223372036854775807, 1)",
        "States.MathRandom(2, 2)",
        "States.MathRandom(1, 2, 'seed')",
        "States.StringSplit('a', '')",
        "States.StringSplit($.n, ',')",
    ],
)
def test_wrong_arguments_fail_the_state(text: str) -> None:
    with pytest.raises(StateFailed) as failure:
        call(text)
    assert failure.value.error == INTRINSIC
    assert failure.value.cause.startswith(text.split("(")[0])


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(StateFailed) as failure:
        call("States.Array($.a, $.missing.b)")
    assert (failure.value.error, "$.a" in failure.value.cause) == (PARAMETER_PATH, True)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("States.None(1)", "States.None is not known"),
        ("States.", "this is not known"),
        ("States.UUID", "( is missing"),
        ("States.UUID(1)", "States.UUID does not take 1 arguments"),
        ("States.MathAdd(1)", "States.MathAdd does not take 1 arguments"),
        ("States.MathAdd(1,2,3)", "States.MathAdd does not take 3 arguments"),
        ("States.MathAdd(1,)", "this is not known"),
        ("States.MathAdd(1 2)", ", or ) is missing"),
        ("States.MathAdd(1, 2", ", or ) is missing"),
        ("States.Format('a", "this is not known"),
        ("States.Format('{}')", "as many values as its template has {}"),
        ("States.Format('{')", "as many values as its template has {}"),
        ("States.Format('}', 1)", "as many values as its template has {}"),
        ("States.Format(1)", "as many values as its template has {}"),
        ("States.UUID() x", "there is something behind the call"),
        ("States.UUID().a", "there is something behind the call"),
        ("States.Array(abc)", "this is not known"),
        ("States.Array(01)", ", or ) is missing"),
        ("States.Array(" * (DEEPEST_CALL + 1) + ")" * (DEEPEST_CALL + 1), "nested deeper than"),
    ],
)
def test_bad_calls_are_refused(text: str, fault: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read_expression(text, "member")
    assert refusal.value.message.startswith("member: is not an intrinsic function: ")
    assert fault in refusal.value.message


@pytest.mark.parametrize("path", ["$..a", "$.a[?@.b]", "$.", "$.a["])
def test_bad_paths_in_calls_are_refused(path: str) -> None:
    with pytest.raises(BadRequest, match=r"^member: "):
        read_expression(f"States.Array({path})", "member")


def test_the_length_of_a_call_is_bounded() -> None:
    with pytest.raises(BadRequest, match=f"at most {LONGEST_CALL} characters"):
        read_expression(f"States.Format('{'x' * LONGEST_CALL}')", "member")


def test_random_values_are_those_of_the_execution_and_the_draw() -> None:
    found = call("States.UUID()")
    assert uuid.UUID(found).version == 4
    assert call("States.UUID()") == found
    assert call("States.UUID()", draws=1) != found
    assert call("States.UUID()", seed="e2") != found
    numbers = call("States.Array(States.MathRandom(1, 4), States.MathRandom(1, 1000000), States.UUID())")
    assert numbers == call(
        "States.Array(States.MathRandom(1, 4), States.MathRandom(1, 1000000), States.UUID())"
    )
    assert numbers[0] in (1, 2, 3)
    assert call("States.MathRandom(1, 1000000, 7)") == call("States.MathRandom(1, 1000000, 7)", draws=5)
    assert {call("States.MathRandom(0, 3)", draws=draw) for draw in range(100)} == {0, 1, 2}


@pytest.mark.parametrize(
    "text",
    [
        "States.Format('{}{}', $.large, $.large)",
        "States.Array($.large, $.large)",
        "States.Base64Encode($.large)",
        "States.Array($.large, States.Array($.large, $.large))",
        "States.JsonToString(States.JsonToString($.quotes))",
    ],
)
def test_results_are_bounded(text: str) -> None:
    data = {"large": "x" * (DATA_BYTES - 10), "quotes": '"' * (DATA_BYTES // 3)}
    with pytest.raises(StateFailed) as failure:
        call(text, data)
    assert failure.value.error == DATA_LIMIT


def test_every_function_of_the_language_is_known() -> None:
    names = "Format StringToJson JsonToString Array ArrayPartition ArrayContains ArrayRange ArrayGetItem"
    names += " ArrayLength ArrayUnique Base64Encode Base64Decode Hash JsonMerge MathRandom MathAdd"
    names += " StringSplit UUID"
    assert set(FUNCTIONS) == {f"States.{name}" for name in names.split()}


LEAVES = st.sampled_from(
    ["1", "-1", "0.5", "true", "null", "'a'", "'{}'", "''", "$", "$.a", "$.list", "$.a.b[0]"]
)
CALLS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda name, arguments: f"{name}({', '.join(arguments)})",
        st.sampled_from(list(FUNCTIONS)),
        st.lists(inner, max_size=3),
    ),
    max_leaves=8,
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "list"]), inner),
    max_leaves=8,
)


@given(CALLS, VALUES)
def test_any_call_gives_a_value_or_fails_the_state(text: str, data: Any) -> None:
    try:
        expression = read_expression(text, "member")
    except BadRequest:
        return
    outcomes = []
    for _ in "ab":
        try:
            outcomes.append(evaluate(expression, Scope(data, {}, Work("e1"))))
        except StateFailed as failure:
            outcomes.append((failure.error, failure.cause))
    assert outcomes[0] == outcomes[1]


@given(st.text(max_size=30).map(lambda text: f"States.{text}"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_expression(text, "member")
    except BadRequest as refusal:
        assert refusal.message.startswith("member: ")  # noqa: PT017
