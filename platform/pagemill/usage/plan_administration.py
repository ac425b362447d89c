"""What the operator does with plans, and asks about them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import asyncpg
import msgspec

from db.month_statements import GET_MONTH_STATEMENT
from db.organizations import ALL_PLANS, GET_PLAN_VERSION, ORGANIZATION_PLAN, UPSERT_PLAN
from db.statements import Connection
from pagemill.errors import BadRequest, NotFound
from pagemill.usage.counting import usage_of
from pagemill.usage.meters import current_month
from pagemill.usage.plan_file import PlanDefinition, PlanFileError, definition_of, prices_of
from pagemill.usage.pricing import Statement, monthly_statement

PlanChange: TypeAlias = Literal["new", "amended", "unchanged"]
_MONTH = re.compile(r"20\d\d-(?:0[1-9]|1[0-2])")


async def apply_plans(
    connection: Connection, plans: Sequence[PlanDefinition], *, amend: bool, dry_run: bool
) -> dict[str, PlanChange]:
    """Bring plans into the database, all or none; what happened, or would happen, to each.

    Raises PlanFileError for a version that exists and says something else, unless ``amend``.
    """
    changes: dict[str, PlanChange] = {}
    async with connection.transaction():
        for plan in plans:
            row = _row(plan)
            before = await GET_PLAN_VERSION.fetch_one(connection, plan.id)
            if before is None:
                changes[plan.id] = "new"
            elif dict(before) == row:
                changes[plan.id] = "unchanged"
            elif amend and before["organization_id"] == plan.organization_id:
                changes[plan.id] = "amended"
            else:
                differing = ", ".join(sorted(name for name in row if row[name] != before[name]))
                raise PlanFileError(
                    f"{plan.id} exists and differs in {differing}: raise its version, "
                    "or amend it (its organization_id never changes)"
                )
            if not dry_run and changes[plan.id] != "unchanged":
                await UPSERT_PLAN.execute(connection, *row.values())
    return changes


def _row(plan: PlanDefinition) -> dict[str, Any]:
    """The columns of a plan, in the order in which they are inserted."""
    return {
        "id": plan.id,
        "slug": plan.plan_id,
        "version": plan.version,
        "organization_id": plan.organization_id,
        "name": plan.name,
        "description": plan.description,
        "available": plan.available,
        "currency": plan.currency,
        "limited_by": plan.limited_by,
        "definition": definition_of(plan),
        "allowed": plan.allowed,
    }


async def all_plans(connection: Connection) -> list[asyncpg.Record]:
    """Every version, with the number of organizations that are on it."""
    return await ALL_PLANS.fetch(connection)


async def statement_of(connection: Connection, organization_id: str, month: str | None = None) -> Statement:
    """The statement of a month (``YYYY-MM``, UTC): as it was written down when the month had ended, else
    computed under the plan that the organization is on now.

    Raises NotFound for an unknown organization, BadRequest for what is no month.
    """
    month = month or current_month()
    if not _MONTH.fullmatch(month):
        raise BadRequest(f"month: {month} is not YYYY-MM")
    written = await GET_MONTH_STATEMENT.fetch_value(connection, organization_id, month)
    if written is not None:
        return msgspec.convert(written, Statement)
    return await compute_statement(connection, organization_id, month)


async def compute_statement(connection: Connection, organization_id: str, month: str) -> Statement:
    """The statement of a month under the plan of now. Raises NotFound for an unknown organization."""
    plan = await ORGANIZATION_PLAN.fetch_one(connection, organization_id)
    if plan is None:
        raise NotFound(f"Organization {organization_id} not found")
    usage = await usage_of(
        connection, organization_id, at=datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    )
    return monthly_statement(
        organization_id,
        month,
        plan["plan_id"],
        plan["currency"] or "EUR",
        prices_of(plan["definition"] or {}),
        usage.used,
    )
