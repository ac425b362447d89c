"""Limits of a plan for each meter. A plan limits pages or fields, never both.

``db.plan_limits`` has the same rules for SQL.
"""

from __future__ import annotations

from collections.abc import Mapping

from db import usage as statements
from db.plan_limits import UNLIMITED, LimitedBy
from db.statements import Connection
from pagemill.errors import LimitExceeded
from pagemill.ids import OrganizationId
from pagemill.usage.meters import METERS, Amount, Meter, current_month

__all__ = ["UNLIMITED", "LimitedBy", "allowances", "check_not_used_up", "limit_exceeded", "limited_amounts"]


def limit_exceeded(meter: str) -> LimitExceeded:
    """Return the error that says that the plan allows no more of a meter."""
    return LimitExceeded(detail=f"the plan allows no more {meter}")


def allowances(allowed: Mapping[str, float] | None) -> dict[Meter, float]:
    """Return the limit of every meter; a meter that the plan does not name is unlimited."""
    named = allowed or {}
    return {meter: float(named.get(meter, UNLIMITED)) for meter in METERS}


def limited_amounts(limited_by: LimitedBy, amounts: Mapping[Meter, Amount]) -> dict[Meter, Amount]:
    """Return the amounts that have to be reserved under a plan that limits pages or fields.

    Amounts of the other one are counted when the job ends, without a limit.
    """
    return {
        meter: amount
        for meter, amount in amounts.items()
        if meter not in ("pages", "fields") or meter == limited_by
    }


async def check_not_used_up(connection: Connection, organization_id: OrganizationId) -> None:
    """Check that something is left of the pages or fields, whichever the plan limits.

    Raises LimitExceeded when nothing is left this month.
    """
    limited = await statements.get_limited_meter(
        connection, organization_id=organization_id, month=current_month()
    )
    if limited is not None and limited.used_up:
        raise LimitExceeded(detail=f"{limited.meter} of this month are used up")
