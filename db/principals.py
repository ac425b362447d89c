"""Who may call: app clients, and users while they are active."""

from __future__ import annotations

from db.statements import untyped_tenant as tenant

# ``permissions`` has the permissions of each role, as text, by which they are cached; NULL without any role.
# Roles that are gone leave nothing behind that would allow anything.
FIND_PRINCIPAL = tenant(
    "principals.find",
    """
    SELECT CASE WHEN role_ids <> '[]'::jsonb THEN ARRAY(
        SELECT role.permissions::text FROM jsonb_array_elements_text(role_ids) AS wanted (id)
        JOIN role ON role.id = wanted.id ORDER BY role.id
    ) END AS permissions
    FROM (
        SELECT role_ids FROM app_client WHERE organization_id = $1 AND id = $2
        UNION ALL
        SELECT role_ids FROM organization_user
        WHERE organization_id = $1 AND id = $2 AND status = 'active'
    ) AS principal
    """,
)
