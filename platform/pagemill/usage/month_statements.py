"""Statements of what an organization used in a month and what it costs."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import cast

import msgspec

from db.month_statements import get_month_statement, insert_month_statement
from db.plans import get_organization_plan
from db.statements import Connection
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import OrganizationId
from pagemill.usage.meters import current_month
from pagemill.usage.organization_usage import usage_of
from pagemill.usage.plan_file import prices_of
from pagemill.usage.pricing import Currency, MonthStatement, price_month

DEFAULT_CURRENCY: Currency = "EUR"
"""Of an organization without a plan."""
_MONTH = re.compile(r"20\d\d-(?:0[1-9]|1[0-2])")


async def month_statement_of(
    connection: Connection, organization_id: OrganizationId, month: str | None = None
) -> MonthStatement:
    """Return the statement of a month (``YYYY-MM``, UTC), of the current one when it is None.

    A month that has ended has a stored statement, under the plan that it ended with. Any other is computed
    under the current plan. Raises NotFound for an unknown organization, BadRequest for a malformed month.
    """
    month = month or current_month()
    if not _MONTH.fullmatch(month):
        raise BadRequest(f"month: {month} is not YYYY-MM")
    stored = await get_month_statement(connection, organization_id=organization_id, month=month)
    if stored is not None:
        return msgspec.convert(stored, MonthStatement)
    return await _compute(connection, organization_id, month)


async def store_month_statement(connection: Connection, organization_id: OrganizationId, month: str) -> None:
    """Compute the statement of a month and store it, unless there is one. Raises NotFound."""
    statement = await _compute(connection, organization_id, month)
    await insert_month_statement(
        connection, organization_id=organization_id, month=month, content=msgspec.to_builtins(statement)
    )


async def _compute(connection: Connection, organization_id: OrganizationId, month: str) -> MonthStatement:
    plan = await get_organization_plan(connection, organization_id=organization_id)
    if plan is None:
        raise NotFound(f"Organization {organization_id} not found")
    usage = await usage_of(
        connection, organization_id, at=datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    )
    return price_month(
        organization_id,
        month,
        plan.plan_id,
        cast("Currency", plan.currency or DEFAULT_CURRENCY),
        prices_of(plan.definition or {}),
        usage.used,
    )
