"""Statements on plans: versions of what an organization may use and what it pays."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from db.plan_limits import LimitedBy
from db.statements import Connection, NeverNull, Row, columns, crossing, tenant
from pagemill.ids import OrganizationId, PlanId

_OPERATORS = "plans are the operator's, not a tenant's"


class PlanVersionRow(Row):
    """A version of a plan, as the operator wrote it."""

    id: PlanId
    slug: str
    version: int
    organization_id: OrganizationId | None
    """The only organization that sees the plan; null when all do."""
    name: str | None
    description: str | None
    available: bool
    currency: str
    limited_by: LimitedBy
    definition: dict[str, Any]
    """The prices, as sub-objects of the API."""
    allowed: dict[str, Any]
    """The limits by meter."""


class PlanRow(Row):
    """A version of a plan, as an organization sees it."""

    id: PlanId
    slug: str
    version: int
    organization_id: OrganizationId | None
    name: str | None
    description: str | None
    available: bool
    currency: str
    limited_by: LimitedBy
    definition: dict[str, Any]
    allowed: dict[str, Any]
    created_time: datetime.datetime
    latest: Annotated[int, NeverNull("the plan itself is one of its versions")]
    """The newest version that the organization sees."""


# A plan without an owner is everybody's; an owned one is seen by its owner alone.
_LATEST = """(
    SELECT max(newest.version) FROM plan AS newest
    WHERE newest.slug = plan.slug
        AND (newest.organization_id IS NULL OR newest.organization_id = :organization_id)
)"""
_COLUMNS = f"{columns(PlanVersionRow)}, created_time, {_LATEST} AS latest"


@tenant(f"""
    SELECT {_COLUMNS} FROM plan
    WHERE (organization_id IS NULL OR organization_id = :organization_id)
        AND slug = :slug
        AND (:version::integer IS NULL OR version = :version)
    ORDER BY version DESC LIMIT 1
""")
async def find_plan(
    connection: Connection, *, organization_id: OrganizationId, slug: str, version: int | None
) -> PlanRow | None:
    """Return a version of a plan, the newest one when ``version`` is None."""


@tenant(f"""
    SELECT {_COLUMNS} FROM plan
    WHERE (organization_id IS NULL OR organization_id = :organization_id)
        AND version = {_LATEST}
        AND (:owner_ids::text[] IS NULL OR organization_id = ANY(:owner_ids))
        AND (:after_id::text IS NULL OR id > :after_id)
    ORDER BY id LIMIT :limit
""")
async def list_plans(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    owner_ids: Sequence[str] | None,
    after_id: str | None,
    limit: int,
) -> list[PlanRow]:
    """List the newest version of each plan, of the given owners if any."""


@crossing(
    _OPERATORS,
    """
    INSERT INTO plan (
        id, slug, version, organization_id, name, description, available, currency, limited_by, definition,
        allowed
    )
    VALUES (
        :plan_id, :slug, :version, :organization_id, :name, :description, :available, :currency, :limited_by,
        :definition, :allowed
    )
    ON CONFLICT (id) DO UPDATE SET
        name = excluded.name, description = excluded.description, available = excluded.available,
        currency = excluded.currency, limited_by = excluded.limited_by,
        definition = excluded.definition, allowed = excluded.allowed
    """,
)
async def upsert_plan(
    connection: Connection,
    *,
    plan_id: PlanId,
    slug: str,
    version: int,
    organization_id: OrganizationId | None,
    name: str | None,
    description: str | None,
    available: bool,
    currency: str,
    limited_by: LimitedBy,
    definition: Mapping[str, Any],
    allowed: Mapping[str, float],
) -> None:
    """Insert a version of a plan, or change all but its identity and owner."""


@crossing(_OPERATORS, f"SELECT {columns(PlanVersionRow)} FROM plan WHERE id = :plan_id FOR UPDATE")
async def lock_plan_version(connection: Connection, *, plan_id: PlanId) -> PlanVersionRow | None:
    """Lock and return a version of a plan."""


class PlanListRow(Row):
    """A version of a plan in the operator's list."""

    id: PlanId
    name: str | None
    currency: str
    limited_by: LimitedBy
    available: bool
    organizations: Annotated[int, NeverNull("count(*)")]
    """Number of its organizations."""


@crossing(
    _OPERATORS,
    """
    SELECT id, name, currency, limited_by, available, (
        SELECT count(*) FROM organization WHERE organization.plan_id = plan.id
    ) AS organizations
    FROM plan ORDER BY slug, version
    """,
)
async def list_all_plans(connection: Connection) -> list[PlanListRow]:
    """List all versions of all plans."""


class OrganizationPlanRow(Row):
    """Plan of an organization; all null without one."""

    plan_id: PlanId | None
    currency: str | None
    definition: dict[str, Any] | None


@tenant("""
    SELECT organization.plan_id, plan.currency, plan.definition
    FROM organization LEFT JOIN plan ON plan.id = organization.plan_id
    WHERE organization.id = :organization_id
""")
async def get_organization_plan(
    connection: Connection, *, organization_id: OrganizationId
) -> OrganizationPlanRow | None:
    """Return the plan that an organization is on."""
