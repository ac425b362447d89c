"""Users: people's memberships in organizations, from the invitation on."""

from __future__ import annotations

from db.statements import untyped_tenant as tenant

# Who lets an invitation run out is inactive until the next one.
USER_COLUMNS = """
    id, profile_id, metadata, role_ids, created_time, created_by, updated_time, updated_by,
    CASE
        WHEN status = 'invite_pending' AND invitation_expires <= now() THEN 'inactive' ELSE status
    END AS status
"""

# An address that is invited already keeps its row, and gives none back unless its invitation has run out.
INVITE_USER = tenant(
    "users.invite",
    f"""
    INSERT INTO organization_user AS invited (
        organization_id, id, email, app_client_id, metadata, role_ids, status, invitation_expires, created_by
    )
    VALUES ($1, $2, $3, $4, $5, $6, 'invite_pending', now() + make_interval(days => $7), $8)
    ON CONFLICT (organization_id, email) DO UPDATE SET
        app_client_id = excluded.app_client_id, metadata = excluded.metadata, role_ids = excluded.role_ids,
        invitation_expires = excluded.invitation_expires, updated_time = now(), updated_by = $8
    WHERE invited.status = 'invite_pending' AND invited.invitation_expires <= now()
    RETURNING {USER_COLUMNS}
    """,
)

GET_USER = tenant(
    "users.get", f"SELECT {USER_COLUMNS} FROM organization_user WHERE organization_id = $1 AND id = $2"
)

LIST_USERS = tenant(
    "users.list",
    f"""
    SELECT {USER_COLUMNS} FROM organization_user
    WHERE organization_id = $1
        AND (created_time, id) > (coalesce($2::timestamptz, '-infinity'), coalesce($3::text, ''))
    ORDER BY created_time, id LIMIT $4
    """,
)

# A member that is not sent keeps its value: NULL says so where null is no value, a flag where it is one.
UPDATE_USER = tenant(
    "users.update",
    f"""
    UPDATE organization_user SET
        metadata = CASE WHEN $3 THEN $4 ELSE metadata END,
        role_ids = coalesce($5::jsonb, role_ids),
        updated_time = now(),
        updated_by = $6
    WHERE organization_id = $1 AND id = $2
    RETURNING {USER_COLUMNS}
    """,
)

DELETE_USER = tenant(
    "users.delete",
    f"DELETE FROM organization_user WHERE organization_id = $1 AND id = $2 RETURNING {USER_COLUMNS}",
)

INSERT_FOUNDER = tenant(
    "users.insert_founder",
    """
    INSERT INTO organization_user (
        organization_id, id, email, profile_id, status, role_ids, created_by
    )
    VALUES ($1, $2, $3, $4, 'active', $5, $6)
    """,
)
