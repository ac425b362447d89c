"""Expressions of allowed senders: RE2's, for the whole address, and bounded."""

from __future__ import annotations

import time

import pytest

from pagemill.errors import BadRequest
from pagemill.workflows.origins import check_origins, is_allowed


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        (None, "anybody@example.net", True),
        ([], "anybody@example.net", True),
        ([r".*@example\.org"], "ada@example.org", True),
        ([r".*@example\.org"], "Ada@EXAMPLE.org", True),
        ([r".*@example\.org"], "ada@example.org.evil.net", False),
        ([r"example\.org"], "ada@example.org", False),
        ([r"bob@.*", r"ada@.*"], "ada@example.org", True),
        ([r".*@example\.org"], "", False),
        ([r"(?=ada).*"], "ada@example.org", False),
        ([r"ä.*"], "ä@example.org", True),
    ],
)
def test_an_expression_matches_the_whole_address(
    allowed: list[str] | None, origin: str, expected: bool
) -> None:
    assert is_allowed(origin, allowed) is expected


@pytest.mark.parametrize(
    "expression", ["(", r"(a)\1", "(?=a)b", "(?<!a)b", "((x{100}){100}){100}", r"\pN{900}", "[z-a]"]
)
def test_what_re2_cannot_run_in_little_memory_is_refused(expression: str) -> None:
    with pytest.raises(BadRequest, match=r"^allowedOrigins\[1\]: is not a regular expression"):
        check_origins(["fine", expression], "allowedOrigins")


def test_no_expression_takes_long() -> None:
    """A backtracking engine would take longer than the sun shines."""
    began = time.thread_time()
    assert not is_allowed("a" * 250, ["(a+)+b", "(a|aa)+b", "(.*a){20}b"])
    assert time.thread_time() - began < 2


@pytest.mark.parametrize("expression", [r"[\PL\pL]" * 60, "[\u0100-\U0010ffff]" * 100])
def test_a_list_that_takes_long_to_compile_is_refused_before(expression: str) -> None:
    with pytest.raises(BadRequest, match=r"^allowedOrigins: must not have more than"):
        check_origins([f"{number}{expression}" for number in range(100)], "allowedOrigins")


def test_the_worst_list_takes_little() -> None:
    began = time.thread_time()
    check_origins([f"{number}" + "[\x01-\U0010fffe]" * 14 for number in range(90)], "allowedOrigins")
    assert time.thread_time() - began < 2
