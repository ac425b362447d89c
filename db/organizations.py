"""Statements on organizations."""

from __future__ import annotations

import datetime

from msgspec import UnsetType

from db.statements import Connection, Row, crossing, tenant
from pagemill.ids import OrganizationId, PaymentMethodId, PlanId, PrincipalId

DOCUMENT_RETENTION_IN_DAYS = 1825
"""Retention of the documents of a new organization: five years."""


class OrganizationRow(Row):
    """An organization, with the client id of its first app client that has no secret."""

    id: OrganizationId
    name: str | None
    description: str | None
    plan_id: PlanId | None
    payment_method_id: PaymentMethodId | None
    document_retention_in_days: int
    created_time: datetime.datetime
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None
    client_id: str | None


_COLUMNS = """
    id, name, description, plan_id, payment_method_id, document_retention_in_days,
    created_time, updated_time, updated_by,
    (
        SELECT client_id FROM app_client
        WHERE app_client.organization_id = organization.id AND secret_hash IS NULL
        ORDER BY app_client.created_time, app_client.id LIMIT 1
    ) AS client_id
"""

# A user also sees the other organizations in which its person is an active user.
_VISIBLE = """
    organization.id IN (
        SELECT :organization_id::text
        UNION
        SELECT other.organization_id FROM organization_user AS own
        JOIN organization_user AS other ON other.profile_id = own.profile_id
        WHERE own.organization_id = :organization_id AND own.id = :principal_id AND other.status = 'active'
    )
"""


@tenant(f"""
    SELECT {_COLUMNS} FROM organization
    WHERE {_VISIBLE}
        AND (created_time, id) >
            (coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, ''))
    ORDER BY created_time, id LIMIT :limit
""")
async def list_organizations(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    principal_id: PrincipalId,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[OrganizationRow]:
    """List the organizations that a principal of an organization may use."""


@tenant(f"SELECT {_COLUMNS} FROM organization WHERE id = :wanted_id AND {_VISIBLE}")
async def find_organization(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    principal_id: PrincipalId,
    wanted_id: OrganizationId,
) -> OrganizationRow | None:
    """Return one of the organizations that a principal of an organization may use."""


@tenant(f"SELECT {_COLUMNS} FROM organization WHERE id = :organization_id")
async def get_organization(
    connection: Connection, *, organization_id: OrganizationId
) -> OrganizationRow | None:
    """Return an organization."""


@crossing(
    "creates the tenant itself",
    f"""
    INSERT INTO organization (id, name, description, plan_id, document_retention_in_days, created_time)
    VALUES (:organization_id, :name, :description, :plan_id, :document_retention_in_days, now())
    RETURNING {_COLUMNS}
    """,
)
async def insert_organization(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    name: str | None,
    description: str | None,
    plan_id: PlanId,
    document_retention_in_days: int,
) -> OrganizationRow:
    """Insert an organization and return it."""


@tenant("""
    UPDATE organization SET
        name = CASE WHEN :name_sent THEN :name ELSE name END,
        description = CASE WHEN :description_sent THEN :description ELSE description END,
        plan_id = CASE WHEN :plan_id_sent THEN :plan_id ELSE plan_id END,
        payment_method_id =
            CASE WHEN :payment_method_id_sent THEN :payment_method_id ELSE payment_method_id END,
        updated_time = now(),
        updated_by = :updated_by
    WHERE id = :organization_id
""")
async def update_organization(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    name: str | UnsetType | None,
    description: str | UnsetType | None,
    plan_id: PlanId | UnsetType,
    payment_method_id: PaymentMethodId | UnsetType | None,
    updated_by: PrincipalId,
) -> None:
    """Change the members that were sent."""


@crossing(
    "the operator names an organization",
    """
    UPDATE organization SET document_retention_in_days = :days, updated_time = now(), updated_by = NULL
    WHERE id = :organization_id RETURNING id
    """,
)
async def update_document_retention(
    connection: Connection, *, organization_id: OrganizationId, days: int
) -> OrganizationId | None:
    """Change for how many days an organization keeps any document; return its id if there is one."""
