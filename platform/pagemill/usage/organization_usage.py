"""Usage of organizations, and their limits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from db import usage as statements
from db.statements import Connection
from pagemill.ids import OrganizationId
from pagemill.usage.limits import allowances
from pagemill.usage.meters import METERS, Meter, current_month


class OrganizationUsage(msgspec.Struct, frozen=True):
    """Use of every meter, this month or in all, and its limit under the organization's plan."""

    used: dict[Meter, float]
    allowed: dict[Meter, float]


async def usage_of(
    connection: Connection, organization_id: OrganizationId, *, at: datetime | None = None
) -> OrganizationUsage:
    """Return the usage of an organization; an unknown one has used nothing and has no limits."""
    return (await usage_of_many(connection, [organization_id], at=at))[organization_id]


async def usage_of_many(
    connection: Connection, organization_ids: Sequence[OrganizationId], *, at: datetime | None = None
) -> dict[OrganizationId, OrganizationUsage]:
    """Return the usage of each organization, in ``at``'s month (now when it is None)."""
    used: dict[OrganizationId, dict[str, float]] = {one: {} for one in organization_ids}
    rows = await statements.list_used(
        connection, organization_ids=organization_ids, month=current_month(at), meters=METERS
    )
    for row in rows:
        used[row.organization_id][row.meter] = float(row.used)
    plans = await statements.list_plan_limits(connection, organization_ids=organization_ids)
    allowed = {plan.organization_id: plan.allowed for plan in plans}
    return {
        one: OrganizationUsage(
            used={meter: used[one].get(meter, 0.0) for meter in METERS},
            allowed=allowances(allowed.get(one)),
        )
        for one in organization_ids
    }
