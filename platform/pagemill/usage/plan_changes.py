"""Application of an operator's plan file to the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from db import plans as statements
from db.plans import PlanVersionRow
from db.statements import Connection
from pagemill.ids import OrganizationId, PlanId
from pagemill.usage.plan_file import PlanDefinition, PlanFileError, definition_of

PlanChange: TypeAlias = Literal["new", "amended", "unchanged"]


async def apply_plans(
    connection: Connection, plans: Sequence[PlanDefinition], *, amend: bool, dry_run: bool
) -> dict[str, PlanChange]:
    """Insert or change plans, all or none; return what happened, or would happen, to each.

    Raises PlanFileError for a version that exists and differs, unless ``amend``.
    """
    changes: dict[str, PlanChange] = {}
    async with connection.transaction():
        for plan in plans:
            row = _to_row(plan)
            changes[plan.id] = await _change_of(connection, row, amend=amend)
            if not dry_run and changes[plan.id] != "unchanged":
                await statements.upsert_plan(
                    connection,
                    plan_id=row.id,
                    slug=row.slug,
                    version=row.version,
                    organization_id=row.organization_id,
                    name=row.name,
                    description=row.description,
                    available=row.available,
                    currency=row.currency,
                    limited_by=row.limited_by,
                    definition=row.definition,
                    allowed=row.allowed,
                )
    return changes


async def _change_of(connection: Connection, row: PlanVersionRow, *, amend: bool) -> PlanChange:
    """Lock the version and compare. Raises PlanFileError for a change that is not allowed."""
    before = await statements.lock_plan_version(connection, plan_id=row.id)
    if before is None:
        return "new"
    if before == row:
        return "unchanged"
    if amend and before.organization_id == row.organization_id:
        return "amended"
    new, old = msgspec.structs.asdict(row), msgspec.structs.asdict(before)
    differing = ", ".join(sorted(name for name in new if new[name] != old[name]))
    raise PlanFileError(
        f"{row.id} exists and differs in {differing}: raise its version, "
        "or amend it (its organization_id never changes)"
    )


def _to_row(plan: PlanDefinition) -> PlanVersionRow:
    return PlanVersionRow(
        id=PlanId(plan.id),
        slug=plan.plan_id,
        version=plan.version,
        organization_id=None if plan.organization_id is None else OrganizationId(plan.organization_id),
        name=plan.name,
        description=plan.description,
        available=plan.available,
        currency=plan.currency,
        limited_by=plan.limited_by,
        definition=definition_of(plan),
        allowed=plan.allowed,
    )
