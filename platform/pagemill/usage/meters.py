"""What is metered, and by which month."""

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
LimitedBy: TypeAlias = Literal["pages", "fields"]
Amount: TypeAlias = int | float | Decimal

TOTAL_METERS: tuple[TotalMeter, ...] = get_args(TotalMeter)
METERS: tuple[Meter, ...] = (*get_args(MonthlyMeter), *TOTAL_METERS)
TOTAL = "total"
UNLIMITED = 2_000_000_000
"""Shown and used as the limit of a meter that the plan does not name."""


def current_month(at: datetime | None = None) -> str:
    """``YYYY-MM`` in UTC, now or at the given (aware) time."""
    return (at or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m")


def month_before(at: datetime) -> str:
    """``YYYY-MM`` (UTC) of the month before the one that ``at`` (aware) is in."""
    first = at.astimezone(UTC).replace(day=1)
    return (first - timedelta(days=1)).strftime("%Y-%m")


def period_of(meter: Meter, month: str) -> str:
    """Under which month a meter is kept: meters of what exists do not begin anew each month."""
    return TOTAL if meter in TOTAL_METERS else month


def to_decimal(amount: Amount) -> Decimal:
    """The amount as Postgres keeps it. Raises ValueError below zero."""
    exact = amount if isinstance(amount, Decimal) else Decimal(str(amount))
    if not exact.is_finite() or exact < 0:
        raise ValueError(f"cannot count {amount}")
    return exact
