"""Tests of page requests and their tokens."""

from __future__ import annotations

import base64
import datetime

import pytest

from pagemill.api.http.paging import cut, provide_page, token_after
from pagemill.errors import BadRequest

TIME = datetime.datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=datetime.UTC)


@pytest.mark.parametrize(("asked", "results"), [(None, 100), ("1", 1), ("1000", 1000), ("1001", 1000)])
def test_number_of_results(asked: str | None, results: int) -> None:
    page = provide_page(asked, None)
    assert (page.results, page.limit, page.after) == (results, results + 1, (None, None))


@pytest.mark.parametrize("asked", ["0", "-1", "x", "", "1.5", " 1", "²", "1" * 30])
def test_bad_number_of_results(asked: str) -> None:
    with pytest.raises(BadRequest, match="maxResults"):
        provide_page(asked, None)


def test_token_is_decoded_to_its_row() -> None:
    assert provide_page(None, token_after(TIME, "las:document:1")).after == (TIME, "las:document:1")


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "foo",
        "%%%",
        "é",
        "x" * 1000,
        encoded("[]"),
        encoded('["2024-01-01T00:00:00", "a"]'),
        encoded('["2024-01-01T00:00:00Z", "\\u0000"]'),
        encoded('["2024-01-01T00:00:00Z", 1]'),
        encoded('["9999-12-31T23:59:59-23:59", "a"]'),
        encoded('["0001-01-01T00:00:00+23:59", "a"]'),
    ],
)
def test_invalid_tokens_are_refused(token: str) -> None:
    with pytest.raises(BadRequest, match="nextToken"):
        provide_page(None, token)


def test_extra_row_makes_the_token() -> None:
    rows = [{"created_time": TIME, "id": identifier} for identifier in "abc"]
    assert cut(rows, provide_page("3", None)) == (rows, None)  # type: ignore[arg-type]
    shown, token = cut(rows, provide_page("2", None))  # type: ignore[arg-type]
    assert shown == rows[:2]
    assert provide_page(None, token).after == (TIME, "b")
