"""Tests of reading the times that clients send."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.api.http.timestamps import parse_time
from pagemill.errors import BadRequest

NOON = datetime.datetime(2021, 8, 16, 12, 53, 13, 374930, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2021-08-16T12:53:13.374930+0000",
        "2021-08-16T12:53:13.374930+00:00",
        "2021-08-16T12:53:13.374930Z",
        "2021-08-16T12:53:13.374930",
        "2021-08-16 12:53:13.374930Z",
        "20210816T125313.374930Z",
        "2021-08-1612:53:13.374930Z",
        "20210816125313.374930+0000",
        "2021-08-16T07:53:13.374930-05:00",
        "2021-08-16T07:53:13.374930-0500",
        "2021-08-16T14:53:13.374930+02",
        "2021-08-16T14:53:13.374930 02:00",
        "2021-08-16T14:53:13.374930 0200",
        " 2021-08-16T12:53:13.374930Z ",
    ],
)
def test_forms(text: str) -> None:
    assert parse_time(text, "startTime") == NOON


def test_date_means_its_first_instant() -> None:
    assert parse_time("2021-08-16", "startTime") == datetime.datetime(2021, 8, 16, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    "text",
    ["", "now", "2021-13-01", "2021-08-16T25:00:00", "0001-01-01T00:00:00+23:00", "1" * 65, "1629118393"],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="fromStartTime: is not a time"):
        parse_time(text, "fromStartTime")


OFFSETS = st.integers(-23 * 60, 23 * 60).map(
    lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
)
TIMES = st.datetimes(
    min_value=datetime.datetime(1900, 1, 1), max_value=datetime.datetime(2200, 1, 1), timezones=OFFSETS
)


@given(TIMES)
def test_formats_of_clients_are_read(time: datetime.datetime) -> None:
    assert parse_time(time.isoformat(), "startTime") == time


@given(st.text(alphabet="0123456789-:TZ+. ", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert parse_time(text, "startTime").tzinfo is datetime.UTC
    except BadRequest:
        return
