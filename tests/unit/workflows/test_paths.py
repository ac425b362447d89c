"""Paths into data: what they find, what is refused, and where results are put."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonpath import JSONPathEnvironment, JSONPathError

from pagemill.errors import BadRequest
from pagemill.workflows.failures import RESULT_PATH, StateFailed, WorkSpent
from pagemill.workflows.paths import LONGEST_PATH, MISSING, put, read_query, read_reference, read_target
from pagemill.workflows.work_bounds import Work

DATA: dict[str, Any] = {
    "a": {"b": [10, {"c": None}]},
    "with space": 1,
    "with-hyphen": 2,
    "å": "ø",
    "": "empty",
    "a.b": "dotted",
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", DATA),
        ("$.a.b[0]", 10),
        ("$.a.b[-1].c", None),
        ("$['a']['b'][1]", {"c": None}),
        ("$['with space']", 1),
        ("$.å", "ø"),
        ("$.with-hyphen", 2),
        ("$['a.b']", "dotted"),
        ("$['']", "empty"),
        ("$.a.x", MISSING),
        ("$.a.b[2]", MISSING),
        ("$.a.b.c", MISSING),
        ("$['with space'].a", MISSING),
    ],
)
def test_values_are_read(path: str, value: Any) -> None:
    found = read_reference(path, "member").find(DATA)
    assert found is MISSING if value is MISSING else found == value


@pytest.mark.parametrize("path", ["", "a", "a.b", "$.", "$.a.", "$[", "$.a b", "@.a", "$.a | $.b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(BadRequest, match=r"^member: "):
        read_reference(path, "member")


@pytest.mark.parametrize("path", ["$.*", "$..a", "$.a[0:2]", "$.a[0,1]", "$.a[?@.b]", "$['a','b']"])
def test_what_names_several_values_is_refused(path: str) -> None:
    with pytest.raises(BadRequest, match=r"^member: must name a single value"):
        read_reference(path, "member")


@pytest.mark.parametrize("path", [None, 5, ["$"], "$." + "a" * LONGEST_PATH])
def test_a_path_is_a_bounded_text(path: Any) -> None:
    with pytest.raises(BadRequest, match=f"at most {LONGEST_PATH} characters"):
        read_reference(path, "member")


def test_a_path_of_the_greatest_length_is_read() -> None:
    path = "$" + ".ab" * ((LONGEST_PATH - 1) // 3)
    assert read_reference(path, "member").find(DATA) is MISSING


QUERIED: dict[str, Any] = {"a": [{"b": 1, "c": [1, 2]}, {"b": 2}, {"c": []}], "d": {"x": 1, "y": {"b": 3}}}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("$.a[*].b", [1, 2]),
        ("$.a[*].c[*]", [1, 2]),
        ("$.d.*", [1, {"b": 3}]),
        ("$.d[*].b", [3]),
        ("$.a[0:2].b", [1, 2]),
        ("$.a[::-1].b", [2, 1]),
        ("$.a[-1:]", [{"c": []}]),
        ("$.a[ 1 : ].b", [2]),
        ("$.d[:]", []),
        ("$.a[0].b[*]", []),
        ("$.a[*].none", []),
        ("$.none[*]", MISSING),
        ("$[*][*].b", [1, 2, 3]),
    ],
)
def test_queries_find_lists(path: str, values: Any) -> None:
    found = read_query(path, "member").find(QUERIED)
    assert found is MISSING if values is MISSING else found == values


@pytest.mark.parametrize("path", ["$..a", "$.a[0,1]", "$.a['b','c']", "$[*,*]", "$.a[?@.b]", "$.a[::0]"])
def test_what_could_take_long_is_refused(path: str) -> None:
    with pytest.raises(BadRequest, match=r"^member: must have names, indexes, wildcards and slices only"):
        read_query(path, "member")


def test_a_query_costs_what_it_finds() -> None:
    with pytest.raises(WorkSpent):
        read_query("$[*][*][*]", "member").find([[[0] * 1000] * 100] * 10, Work("e1"))


def test_paths_into_the_context() -> None:
    path = read_reference("$$.State.Name", "member")
    assert path.of_context
    assert path.find({"State": {"Name": "A"}}) == "A"
    with pytest.raises(BadRequest, match="into the data"):
        read_target("$$.State", "member")


@pytest.mark.parametrize(
    ("path", "data", "result"),
    [
        ("$", {"a": 1}, 7),
        ("$.b", {"a": 1}, {"a": 1, "b": 7}),
        ("$.a", {"a": 1, "b": 2}, {"a": 7, "b": 2}),
        ("$.b.c", {"a": 1}, {"a": 1, "b": {"c": 7}}),
        ("$.a[0]", {"a": [1, 2]}, {"a": [7, 2]}),
        ("$.a[-1].b", {"a": [1, {}]}, {"a": [1, {"b": 7}]}),
        ("$[1]", [1, 2], [1, 7]),
    ],
)
def test_a_value_is_put_into_a_copy(path: str, data: Any, result: Any) -> None:
    before = str(data)
    assert put(read_target(path, "member"), data, 7) == result
    assert str(data) == before


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("$.a.b", {"a": 1}),
        ("$.a.b", {"a": None}),
        ("$.a", [1]),
        ("$[0]", {}),
        ("$.a[2]", {"a": [1]}),
        ("$.b[0]", {}),
    ],
)
def test_a_value_that_has_no_place_fails_the_state(path: str, data: Any) -> None:
    with pytest.raises(StateFailed) as failure:
        put(read_target(path, "member"), data, 7)
    assert failure.value.error == RESULT_PATH


SEGMENTS = [
    *(".a", ".b1", "._", ".*", "[0]", "[ -1 ]", "[*]", "[ * ]", "['a']", '["b"]', "['']"),
    *("[1:2]", "[:]", "[::2]", "[ 0 : 1 ]", "[-1:]", "[::-1]", ".é", r"['\'']", r"['\u00e9']"),
    *("[01]", "[-0]", ".", "[", " .a", "[0 1]", "['a]"),
]
VALUES = st.recursive(
    st.integers(0, 9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "", "é", "'"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.lists(st.sampled_from(SEGMENTS), max_size=5).map("".join), VALUES)
def test_paths_mean_what_the_library_takes_them_for(segments: str, data: Any) -> None:
    """Plain paths are read by a pattern, and all are resolved without the library."""
    assume(".." not in segments)
    try:
        expected = JSONPathEnvironment(strict=True).compile(f"${segments}").findall(data)
    except JSONPathError:
        with pytest.raises(BadRequest):
            read_query(f"${segments}", "member")
        return
    path = read_query(f"${segments}", "member")
    found = path.find(data)
    if path.is_reference:
        found = [] if found is MISSING else [found]
    assert ([] if found is MISSING else found) == expected
