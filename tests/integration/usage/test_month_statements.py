"""Statements of months for which none is stored."""

from __future__ import annotations

from decimal import Decimal

import asyncpg
import pytest

from pagemill.errors import BadRequest, NotFound
from pagemill.ids import OrganizationId
from pagemill.usage.counting import count_freely
from pagemill.usage.meters import current_month
from pagemill.usage.month_statements import month_statement_of
from pagemill.usage.plan_changes import apply_plans
from pagemill.usage.plan_file import parse_plans
from tests.integration.usage.test_plan_changes import PLAN, use_plan
from tests.support.tenants import Tenant


async def test_a_month_is_computed_under_the_current_plan(pool: asyncpg.Pool, organization: Tenant) -> None:
    async with pool.acquire() as connection:
        await apply_plans(connection, parse_plans(PLAN), amend=False, dry_run=False)
        await use_plan(pool, organization, "las:plan:pro:1")
        await count_freely(connection, organization.organization_id, "pages", 13)
        statement = await month_statement_of(connection, organization.organization_id)
        assert statement.month == current_month()
        assert statement.total == Decimal("100.50")
        before = await month_statement_of(connection, organization.organization_id, "2020-01")
        assert before.total == Decimal("99.00")


async def test_unknown_organizations_and_invalid_months_are_refused(
    pool: asyncpg.Pool, organization: Tenant
) -> None:
    async with pool.acquire() as connection:
        with pytest.raises(NotFound, match=OrganizationId("las:organization:none")):
            await month_statement_of(connection, OrganizationId("las:organization:none"))
        with pytest.raises(BadRequest, match="2020-13"):
            await month_statement_of(connection, organization.organization_id, "2020-13")
