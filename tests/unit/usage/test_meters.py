"""Months and amounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from pagemill.usage.meters import (
    METERS,
    TOTAL,
    TOTAL_METERS,
    current_month,
    month_before,
    period_of,
    to_decimal,
)


def test_months_are_utc() -> None:
    west = timezone(timedelta(hours=-5))
    assert current_month(datetime(2026, 3, 31, 23, 0, tzinfo=west)) == "2026-04"
    assert current_month(datetime(2026, 3, 31, 23, 0, tzinfo=UTC)) == "2026-03"


def test_totals_have_no_month() -> None:
    periods = {meter: period_of(meter, "2026-04") for meter in METERS}
    assert {meter for meter, period in periods.items() if period == TOTAL} == set(TOTAL_METERS)


@pytest.mark.parametrize(
    ("amount", "exact"), [(3, Decimal(3)), (0.1, Decimal("0.1")), (Decimal("1.5"), Decimal("1.5"))]
)
def test_amounts_are_exact(amount: float, exact: Decimal) -> None:
    assert to_decimal(amount) == exact


@pytest.mark.parametrize(
    ("at", "month"),
    [
        ("2026-01-01T00:00:00+00:00", "2025-12"),
        ("2026-03-31T12:00:00+00:00", "2026-02"),
        ("2026-04-01T01:00:00+02:00", "2026-02"),
    ],
)
def test_the_month_before(at: str, month: str) -> None:
    assert month_before(datetime.fromisoformat(at)) == month
