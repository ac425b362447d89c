"""Reference paths name at most one value."""

from __future__ import annotations

from typing import Any

import pytest

from pagemill.errors import BadRequest
from pagemill.workflows.paths import LONGEST_PATH, MISSING, checked_path, read_path

DATA: dict[str, Any] = {
    "a": {"b": [10, {"c": None}]},
    "with space": 1,
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
        ("$['a.b']", "dotted"),
        ("$['']", "empty"),
        ("$.a.x", MISSING),
        ("$.a.b[2]", MISSING),
        ("$.a.b.c", MISSING),
        ("$['with space'].a", MISSING),
    ],
)
def test_values_are_read(path: str, value: Any) -> None:
    assert checked_path(path, "member") == path
    found = read_path(path, DATA)
    assert found is MISSING if value is MISSING else found == value


@pytest.mark.parametrize("path", ["", "a", "a.b", "$.", "$.a.", "$[", "$.a b", "@.a", "$.a | $.b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(BadRequest, match=r"^member: "):
        checked_path(path, "member")


@pytest.mark.parametrize("path", ["$.*", "$..a", "$.a[0:2]", "$.a[0,1]", "$.a[?@.b]", "$['a','b']"])
def test_what_names_several_values_is_refused(path: str) -> None:
    with pytest.raises(BadRequest, match=r"^member: must name a single value"):
        checked_path(path, "member")


@pytest.mark.parametrize("path", [None, 5, ["$"], "$." + "a" * LONGEST_PATH])
def test_a_path_is_a_bounded_text(path: Any) -> None:
    with pytest.raises(BadRequest, match=f"at most {LONGEST_PATH} characters"):
        checked_path(path, "member")


def test_a_path_of_the_greatest_length_is_read() -> None:
    path = "$" + ".ab" * ((LONGEST_PATH - 1) // 3)
    assert read_path(checked_path(path, "member"), DATA) is MISSING
