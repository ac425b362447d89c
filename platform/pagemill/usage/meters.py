"""Meters, and the period that each is counted in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeAlias, get_args

MonthlyMeter: TypeAlias = Literal[
    "documents",
    "predictions",
    "pages",
    "fields",
    "data-bundles",
    "trainings",
    "transformations",
    "workflow-executions",
    "transition-executions",
    "active-models",
    "gpu-hours",
    "production-workflow-minutes",
    "user-minutes",
]
TotalMeter: TypeAlias = Literal[
    "app-clients", "assets", "datasets", "models", "secrets", "transitions", "users", "workflows"
]
Meter: TypeAlias = MonthlyMeter | TotalMeter
Amount: TypeAlias = int | float | Decimal

TOTAL_METERS: tuple[TotalMeter, ...] = get_args(TotalMeter)
METERS: tuple[Meter, ...] = (*get_args(MonthlyMeter), *TOTAL_METERS)
TOTAL = "total"


def current_month(at: datetime | None = None) -> str:
    """Return ``YYYY-MM`` in UTC, of now or of an aware time."""
    return (at or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m")


def month_before(at: datetime) -> str:
    """Return ``YYYY-MM`` in UTC of the month before that of an aware time."""
    first = at.astimezone(UTC).replace(day=1)
    return (first - timedelta(days=1)).strftime("%Y-%m")


def period_of(meter: Meter, month: str) -> str:
    """Return the month that a meter is counted in, or ``total`` for meters of what exists."""
    return TOTAL if meter in TOTAL_METERS else month


def to_decimal(amount: Amount) -> Decimal:
    """Return an amount as Postgres keeps it. Raises ValueError for a negative or infinite one."""
    exact = amount if isinstance(amount, Decimal) else Decimal(str(amount))
    if not exact.is_finite() or exact < 0:
        raise ValueError(f"cannot count {amount}")
    return exact
