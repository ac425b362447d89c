"""Principals: app clients, users while they are active, and containers while they run."""

from __future__ import annotations

from db.statements import Connection, Row, tenant
from pagemill.ids import GrantId, OrganizationId, PrincipalId


class PrincipalRow(Row):
    """A principal's permissions: one JSON text for each of its roles, or null when it has no role."""

    permissions: list[str] | None


# Roles that do not exist any more add no permissions; they do not make the principal one without roles.
@tenant("""
    SELECT CASE WHEN role_ids <> '[]'::jsonb THEN ARRAY(
        SELECT role.permissions::text FROM jsonb_array_elements_text(role_ids) AS wanted (id)
        JOIN role ON role.id = wanted.id ORDER BY role.id
    ) END AS permissions
    FROM (
        SELECT role_ids FROM app_client
        WHERE organization_id = :organization_id AND id = :principal_id AND (
            token_epoch = :epoch OR (token_epoch - 1 = :epoch AND previous_secret_expires_time > now())
        )
        UNION ALL
        SELECT role_ids FROM organization_user
        WHERE organization_id = :organization_id AND id = :principal_id AND status = 'active' AND EXISTS (
            SELECT FROM token_grant
            WHERE token_grant.organization_id = :organization_id AND token_grant.id = :grant_id
                AND token_grant.user_id = :principal_id AND token_grant.ended_time IS NULL
        )
    ) AS principal
    UNION ALL
    (
        SELECT ARRAY[permissions::text] FROM container_credential
        WHERE organization_id = :organization_id AND subject_id = :principal_id LIMIT 1
    )
""")
async def find_principal(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    principal_id: PrincipalId,
    grant_id: GrantId | None,
    epoch: int,
) -> PrincipalRow | None:
    """Return the permissions of an app client, an active user or a container, which is its execution.

    A user is one by a grant that has not ended; an app client is one in its own epoch, and in the one before
    while its former secret works.
    """
