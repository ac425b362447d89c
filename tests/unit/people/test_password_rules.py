"""Long passwords are accepted, and those that are guessed first are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.people.password_rules import (
    LONGEST,
    SHORTEST,
    TOO_EASY,
    TOO_LONG,
    TOO_SHORT,
    UNREADABLE,
    normalized,
    problem_with,
)

ADDRESS = "ada.lovelace@example.com"


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "zebra kitchen quilt",
        "839201749302",
        "Tr0ub4dor&3xyz",
        "ÄÖÜ äöü éèê 12x",
        "мама мыла раму",
    ],
)
def test_long_ones_are_accepted(password: str) -> None:
    assert problem_with(password, email=ADDRESS) is None


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "Password2024!",
        "P@ssw0rd2024",
        "qwertyuiop12",
        "1234567890123",
        "aaaaaaaaaaaaa",
        "abcabcabcabc",
        "iloveyou2019!!",
        "pagemillpagemill1",
        "welcome welcome",
        "Summer2026Summer",
        "ada.lovelace99",
        "lovelaceADA@example",
    ],
)
def test_those_that_are_guessed_first_are_refused(password: str) -> None:
    assert problem_with(password, email=ADDRESS) == TOO_EASY


def test_lengths() -> None:
    assert problem_with("x1y2z3w4v5u"[: SHORTEST - 1]) == TOO_SHORT
    assert problem_with("zebra kitchen " * 30) == TOO_LONG
    assert problem_with(("kettle zebra! " * 30)[:LONGEST]) is None


@pytest.mark.parametrize("password", ["zebra\0kitchen quilt", "zebra \ud800 kitchen quilt"])
def test_what_cannot_be_kept_is_refused(password: str) -> None:
    assert problem_with(password) == UNREADABLE


def test_however_a_keyboard_composes_it_it_is_the_same_password() -> None:
    assert normalized("Zu\u0308rich ist scho\u0308n") == normalized("Zürich ist schön")


@given(st.text(max_size=400))
def test_any_text_is_judged(password: str) -> None:
    problem = problem_with(password, email=ADDRESS)
    assert problem is None or problem.endswith(".")
