"""Dates in the world's spellings: read rightly, or not at all."""

from __future__ import annotations

import datetime
import string

import pytest
from babel.dates import format_date
from hypothesis import given, settings
from hypothesis import strategies as st

from pagemill.extraction.printed_characters import month_numbers
from pagemill.extraction.printed_dates import date_readings, find_dates

LOCALES = (
    "en de fr es pt it nl da nb sv fi is et lv lt pl cs sk sl bg ro hu el tr uk ru ka hy ar hi mr bn "
    "ta gu pa id ms fil sw zu af ca gl cy mt ja ko zh"
)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("1er janvier 2022", "2022-01-01"),
        ("12 fevrier 2024", "2024-02-12"),
        ("12 maj 2024", "2024-05-12"),
        ("12. m\u00e4rz 2024", "2024-03-12"),
        ("12 de mayo de 2024", "2024-05-12"),
        ("1\u00ba de janeiro de 2024", "2024-01-01"),
        ("2024. m\u00e1jus 12.", "2024-05-12"),
        ("12 \u043c\u0430\u044f 2024 \u0433.", "2024-05-12"),
        ("12 Sept. '24", "2024-09-12"),
        ("2018-Mar-11", "2018-03-11"),
        ("2024\u5e745\u670812\u65e5", "2024-05-12"),
        ("\u4ee4\u548c6\u5e745\u670812\u65e5", "2024-05-12"),
        ("2024\ub144 5\uc6d4 12\uc77c", "2024-05-12"),
        ("ng\u00e0y 12 th\u00e1ng 5 n\u0103m 2024", "2024-05-12"),
        ("12 \u0e1e.\u0e04. 2567", "2024-05-12"),
        ("\u0661\u0662/\u0660\u0665/\u0662\u0660\u0662\u0664", "2024-05-12"),
        ("\uff11\uff12/\uff10\uff15/2024", "2024-05-12"),
        ("12\u201305\u20132024", "2024-05-12"),
        ("13/01/201810:20", "2018-01-13"),
        ("27-06-201815:21:03", "2018-06-27"),
        ("#19-11/03/2018", "2018-03-11"),
        ("01-02-18 14:33", "2018-02-01"),
    ],
)
def test_dates_in_the_spellings_of_the_world(text: str, date: str) -> None:
    assert date_readings(text)["day"] == date


@pytest.mark.parametrize(
    "text",
    [
        "29.02.2023",
        "12/05/0018",
        "12/05/3018",
        "9999-01-01",
        "12 Mar 10:30",
        "May 2024",
        "12 apples 2024",
        "31 April 2024",
        "1.2.3.2020",
        "12/05/20/7",
        "5 12 05",
        "0812345678",
        "12 May June 2024",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert date_readings(text) == {}


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(LOCALES.split()),
    st.dates(datetime.date(1970, 1, 1), datetime.date(2069, 12, 31)),
    st.sampled_from(["full", "long", "medium", "d MMMM y", "d MMM y"]),
)
def test_dates_of_every_locale_are_read_as_they_were_printed(
    locale: str, date: datetime.date, pattern: str
) -> None:
    numbered = locale in ("ja", "ko", "zh")
    printed = format_date(date, "long" if numbered else pattern, locale=locale)
    readings = date_readings(printed)
    assert date.isoformat() in readings.values(), printed


@settings(deadline=None)
@given(st.text(string.digits + " .-/:,MayJune\u5e74\u0e1e\u0661", max_size=40))
def test_found_dates_lie_inside_the_text(text: str) -> None:
    for found in find_dates(text):
        assert 0 <= found.begin < found.end <= len(text)
        assert set(found.readings) <= {"day", "month"}
        for iso in found.readings.values():
            assert 1900 <= datetime.date.fromisoformat(iso).year <= 2100


def test_months_that_languages_name_alike_are_those_of_the_language_that_is_listed_first() -> None:
    months = month_numbers()
    assert (months["listopad"], months["mai"], months["maj"], months["lis"]) == (11, 5, 5, 11)
    assert len(months) > 1000
