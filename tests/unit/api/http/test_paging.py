"""Tests of page requests and their tokens."""

from __future__ import annotations

import base64
import datetime

import pytest

from db.statements import Row
from pagemill.api.http.paging import PageRequest, cut, provide_page, token_after
from pagemill.errors import BadRequest

TIME = datetime.datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=datetime.UTC)


@pytest.mark.parametrize(("asked", "results"), [(None, 100), ("1", 1), ("1000", 1000), ("1001", 1000)])
def test_number_of_results(asked: str | None, results: int) -> None:
    page = provide_page(asked, None)
    assert page == PageRequest(results)
    assert page.limit == results + 1


@pytest.mark.parametrize("asked", ["0", "-1", "x", "", "1.5", " 1", "²", "1" * 30])
def test_bad_number_of_results(asked: str) -> None:
    with pytest.raises(BadRequest, match="maxResults"):
        provide_page(asked, None)


def test_token_is_decoded_to_its_row() -> None:
    page = provide_page(None, token_after(TIME, "las:document:1"))
    assert page == PageRequest(100, TIME, "las:document:1")


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


class TimedRow(Row):
    """A row of a list."""

    id: str
    created_time: datetime.datetime
    end_time: datetime.datetime | None = None


class LargeRow(TimedRow, kw_only=True):
    """A row of a page that ends early because its rows are large."""

    rows_in_page: int


def test_an_extra_row_gives_the_token() -> None:
    rows = [TimedRow(identifier, TIME) for identifier in "abc"]
    assert cut(rows, PageRequest(3)) == (rows, None)
    shown, token = cut(rows, PageRequest(2))
    assert shown == rows[:2]
    assert provide_page("2", token) == PageRequest(2, TIME, "b")
    assert cut([], PageRequest(2)) == ([], None)


def test_the_token_has_the_time_that_the_list_is_sorted_by() -> None:
    rows = [TimedRow(identifier, TIME) for identifier in "ab"]
    _, token = cut(rows, PageRequest(1), by="end_time")
    assert provide_page("1", token) == PageRequest(1, None, "a")


def test_a_page_that_ends_early_has_a_token() -> None:
    rows = [LargeRow(identifier, TIME, rows_in_page=3) for identifier in "ab"]
    shown, token = cut(rows, PageRequest(10))
    assert shown == rows
    assert provide_page(None, token) == PageRequest(100, TIME, "b")
