"""Letters among the digits of an amount."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagemill.extraction.damaged_money import LIKELY_DIGITS, is_damaged_money, may_be, repair


@pytest.mark.parametrize("text", ["E.60", "5.c", "1O.00", "l2.5O", "RM5.c", "$S2.1B", "1,2O4.50"])
def test_damaged_amounts(text: str) -> None:
    assert is_damaged_money(text)


@pytest.mark.parametrize(
    "text",
    ["8.60", "B.2", "v.12", "RM 9.00", "Rs.60", "a.b", "OO.OO", "12.05.2018", "www.60.no", "", "1.5kg"],
)
def test_what_is_no_damaged_amount(text: str) -> None:
    assert not is_damaged_money(text)
    assert repair(text, {}) is None or not is_damaged_money(text)


def test_repairs_prefer_what_is_printed_to_what_is_calculated() -> None:
    amounts = Counter({Decimal("8.60"): 2, Decimal("10.00"): 1, Decimal("1.40"): 1})
    assert repair("E.60", amounts) == (Decimal("8.60"), 0.9)
    assert repair("E.40", {Decimal("8.40"): 1, Decimal("3.40"): 1}) == (Decimal("8.40"), 0.45)
    assert repair("E.60", {Decimal("10.00"): 1, Decimal("1.40"): 1}) == (Decimal("8.60"), 0.6)
    assert repair("1O.00", {}) == (Decimal("10.00"), 0.3)


@settings(deadline=None)
@given(st.decimals(Decimal("1.00"), 999, places=2), st.data())
def test_a_letter_in_an_amount_leaves_it_possible(amount: Decimal, data: st.DataObject) -> None:
    printed = f"{amount:.2f}"
    places = [at for at, character in enumerate(printed) if character != "."]
    at = data.draw(st.sampled_from(places))
    damaged = printed[:at] + data.draw(st.sampled_from(sorted(LIKELY_DIGITS))) + printed[at + 1 :]
    if is_damaged_money(damaged):
        assert may_be(damaged, amount)
        assert repair(damaged, {amount: 1}) == (amount, 0.9)
