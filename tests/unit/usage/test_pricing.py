"""Costs of a month, to the cent."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.usage.pricing import Price, PriceError, Tier, price_month

TIERED = Price(included=Decimal(1000), tiers=(Tier(Decimal("0.02"), 5000), Tier(Decimal("0.01"))))


@pytest.mark.parametrize(
    ("price", "overage", "units", "amount"),
    [
        (Price(price=Decimal("0.02")), "0", "0", "0.00"),
        (Price(price=Decimal("0.02")), "7", "7", "0.14"),
        (Price(price=Decimal("1.50"), unit_size=100), "1", "1", "1.50"),
        (Price(price=Decimal("1.50"), unit_size=100), "101", "2", "3.00"),
        (Price(price=Decimal("2")), "0.25", "1", "2.00"),
        (TIERED, "5000", "5000", "100.00"),
        (TIERED, "5001", "5001", "100.01"),
        (TIERED, "7000", "7000", "120.00"),
        (Price(price=Decimal("0.005")), "1", "1", "0.01"),
    ],
)
def test_charge(price: Price, overage: str, units: str, amount: str) -> None:
    assert price.charge(Decimal(overage)) == (Decimal(units), Decimal(amount))


def test_a_statement_lists_what_the_plan_prices() -> None:
    statement = price_month(
        "las:organization:a",
        "2026-11",
        "las:plan:pro:1",
        "EUR",
        {"license": Price(price=Decimal(99)), "pagePredictions": TIERED},
        {"pages": 7000.0, "fields": 12.0},
    )
    assert [(line.name, line.used, line.overage, line.amount) for line in statement.lines] == [
        ("license", 1, 1, Decimal("99.00")),
        ("pagePredictions", 7000, 6000, Decimal("110.00")),
    ]
    assert statement.total == Decimal("209.00")


def test_a_plan_without_prices_costs_nothing() -> None:
    statement = price_month("las:organization:a", "2026-11", None, "EUR", {}, {"pages": 5.0})
    assert (statement.lines, statement.total) == ((), Decimal("0.00"))


@pytest.mark.parametrize(
    ("price", "message"),
    [
        (Price(price=Decimal(-1)), "pages.price"),
        (Price(price=Decimal("NaN")), "pages.price"),
        (Price(included=Decimal(-1)), "pages.included"),
        (Price(price=Decimal(1), tiers=(Tier(Decimal(1)),)), "a price and tiers"),
        (Price(tiers=(Tier(Decimal(1), 5),)), r"pages.tiers\[0\].upTo"),
        (Price(tiers=(Tier(Decimal(1)), Tier(Decimal(1)))), r"pages.tiers\[0\].upTo"),
        (Price(tiers=(Tier(Decimal(1), 5), Tier(Decimal(1), 5), Tier(Decimal(1)))), "has to grow"),
    ],
)
def test_contradictions_are_named(price: Price, message: str) -> None:
    with pytest.raises(PriceError, match=message):
        price.check("pages")


@given(first=st.integers(0, 20_000), second=st.integers(0, 20_000))
def test_more_use_never_costs_less(first: int, second: int) -> None:
    low, high = sorted((first, second))
    assert TIERED.charge(Decimal(low))[1] <= TIERED.charge(Decimal(high))[1]
