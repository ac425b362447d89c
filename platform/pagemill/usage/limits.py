"""Limits of a plan for each meter. A plan limits pages or fields, never both.

``db.plan_limits`` has the same rules for SQL.
"""

from __future__ import annotations

from collections.abc import Mapping

from db.plan_limits import UNLIMITED, LimitedBy
from pagemill.errors import LimitExceeded
from pagemill.usage.meters import METERS, Amount, Meter

__all__ = ["UNLIMITED", "LimitedBy", "allowances", "limit_exceeded", "limited_amounts"]


def limit_exceeded(meter: str) -> LimitExceeded:
    """Return the error that says that the plan allows no more of a meter."""
    return LimitExceeded(detail=f"the plan allows no more {meter}")


def allowances(allowed: Mapping[str, float] | None) -> dict[Meter, float]:
    """Return the limit of every meter; a meter that the plan does not name is unlimited."""
    named = allowed or {}
    return {meter: float(named.get(meter, UNLIMITED)) for meter in METERS}


def limited_amounts(limited_by: LimitedBy | None, amounts: Mapping[Meter, Amount]) -> dict[Meter, Amount]:
    """Return the amounts that have to be reserved under a plan that limits pages, fields, or neither.

    Amounts of what it does not limit are counted when the job ends.
    """
    return {
        meter: amount
        for meter, amount in amounts.items()
        if meter not in ("pages", "fields") or meter == limited_by
    }
