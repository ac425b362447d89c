"""Numbers in the world's spellings: read rightly, or not at all."""

from __future__ import annotations

from decimal import Decimal

import pytest
from babel.numbers import format_currency, format_decimal, get_decimal_symbol
from hypothesis import given, settings
from hypothesis import strategies as st

from pagemill.extraction.decoding import normalise, same_value
from pagemill.extraction.printed_numbers import DecimalMark, read_number

LOCALES = (
    "en_US en_IN en_ZA de_DE de_CH de_AT fr_FR fr_CH fr_CA es_ES es_MX pt_BR pt_PT it_IT it_CH nl_NL "
    "da_DK nb_NO sv_SE fi_FI is_IS et_EE lv_LV lt_LT pl_PL cs_CZ sk_SK sl_SI hr_HR sr_RS bg_BG ro_RO "
    "hu_HU el_GR tr_TR uk_UA ru_RU he_IL ar_EG fa_IR ur_PK hi_IN mr_IN bn_BD ta_IN th_TH vi_VN id_ID "
    "ms_MY ja_JP zh_CN ko_KR sw_KE"
)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1\u202f234,56", "1234.56"),
        ("1\u00a0234,56", "1234.56"),
        ("\u22121,234.56", "-1234.56"),
        ("1234,-", "1234.00"),
        ("kr. 100,-", "100.00"),
        ("100:-", "100.00"),
        ("2.000,=", "2000.00"),
        ("CHF 1\u2019000.\u2013", "1000.00"),
        ("108.43 CR", "-108.43"),
        ("108.43CR", "-108.43"),
        ("108.43 DR", "108.43"),
        ("(1.234,56) EUR", "-1234.56"),
        ("EUR (1.234,56)", "-1234.56"),
        ("12.345,67- EUR", "-12345.67"),
        ("100,00-", "-100.00"),
        ("1.234,56 -", "-1234.56"),
        ("12,34,567.00", "1234567.00"),
        ("\u20b9 \u0967\u0968,\u0969\u096a,\u096b\u096c\u096d.\u096b\u0966", "1234567.50"),
        ("\u0661\u066c\u0662\u0663\u0664\u066b\u0665\u0666", "1234.56"),
        ("\uff11\uff0c\uff12\uff13\uff14\uff0e\uff15\uff10", "1234.50"),
        ("\uffe51,234", "1234.00"),
        ("1,234\u5186", "1234.00"),
        ("\u00a31\u00b750", "1.50"),
        ("S/. 12.50", "12.50"),
        ("R$ 1.234,56", "1234.56"),
        ("US$12.00", "12.00"),
        ("100 kroner", "100.00"),
        ("1.234,56 z\u0142otych", "1234.56"),
        ("12,50 \u0433\u0440\u043d.", "12.50"),
        ("5 Euros", "5.00"),
        ("Rs.60", "60.00"),
        ("9. 00", "9.00"),
        ("\u200e9.00\u200f", "9.00"),
        ("minus 5,00", "-5.00"),
    ],
)
def test_amounts_in_the_spellings_of_the_world(text: str, amount: str) -> None:
    assert normalise(text, {"type": "amount"}) == amount


@pytest.mark.parametrize(
    "text",
    [
        "E.60",
        "5.c",
        "12.5B",
        "1O.00",
        "12½",
        "5 mio",
        "5k",
        "100万",
        "9.00/kg",
        "1.234.50",
        "12,3456,7",
        "25%",
        "10-20",
        "5 of 9",
        "12:50",
        "3 + 4",
    ],
)
def test_what_is_damaged_or_something_else_is_no_amount(text: str) -> None:
    assert normalise(text, {"type": "amount"}) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("25%", "25"),
        ("12,5 %", "12.5"),
        ("%25", "25"),
        ("\u066a\u0662\u0665", "25"),
        ("-3 %", "-3"),
        ("1,5 kg", "1.5"),
    ],
)
def test_percentages_and_quantities_are_numbers(text: str, number: str) -> None:
    assert normalise(text, {"type": "numeric"}) == number


@pytest.mark.parametrize(
    ("text", "point", "comma"),
    [
        ("1,234", "1234", "1.234"),
        ("1.234", "1.234", "1234"),
        ("-12.500", "-12.500", "-12500"),
        ("7", "7", "7"),
    ],
)
def test_the_mark_decides_only_where_both_are_possible(text: str, point: str, comma: str) -> None:
    assert normalise(text, {"type": "numeric"}, mark="point") == point
    assert normalise(text, {"type": "numeric"}, mark="comma") == comma
    assert normalise("1.234,5", {"type": "numeric"}, mark="point") == "1234.5"


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(LOCALES.split()),
    st.decimals(-(10**8), 10**8, places=2),
    st.sampled_from(["standard", "accounting"]),
)
def test_money_of_every_locale_is_read_as_it_was_printed(locale: str, amount: Decimal, style: str) -> None:
    mark: DecimalMark = "comma" if get_decimal_symbol(locale, numbering_system="default") == "," else "point"
    for currency in ("EUR", "USD", "NOK"):
        printed = format_currency(
            amount,
            currency,
            locale=locale,
            format_type=style,
            currency_digits=False,
            numbering_system="default",
        )
        found = normalise(printed, {"type": "amount"}, mark=mark)
        assert found == f"{amount:.2f}".replace("-0.00", "0.00"), printed


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(LOCALES.split()), st.decimals(-(10**8), 10**8, places=3))
def test_numbers_of_every_locale_are_read_as_they_were_printed(locale: str, number: Decimal) -> None:
    mark: DecimalMark = "comma" if get_decimal_symbol(locale, numbering_system="default") == "," else "point"
    printed = format_decimal(number, locale=locale, numbering_system="default")
    found = read_number(printed)
    assert found is not None, printed
    assert found.value(mark) == number, printed


def test_numbers_of_the_ground_truth_mean_what_they_say() -> None:
    numeric = {"type": "numeric"}
    assert same_value("1.234", "1.234", numeric, "day")
    assert same_value("1.2340", "1.234", numeric, "day")
    assert not same_value("1.234", "1234", numeric, "day")
    assert same_value("1.234,50", "1234.5", numeric, "day")
    assert same_value("25%", "25", numeric, "day")
