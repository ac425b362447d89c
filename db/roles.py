"""Roles, which are the same for all organizations."""

from __future__ import annotations

from db.statements import untyped_crossing as crossing

SHARED = "roles are the same for all organizations"
ROLE_COLUMNS = "id, name, description, permissions, created_time"

UPSERT_ROLE = crossing(
    "roles.upsert",
    SHARED,
    """
    INSERT INTO role (id, name, description, permissions, created_time)
    VALUES ($1, $2, $3, $4, now())
    ON CONFLICT (id) DO UPDATE SET
        name = excluded.name, description = excluded.description, permissions = excluded.permissions
    """,
)

GET_ROLE = crossing("roles.get", SHARED, f"SELECT {ROLE_COLUMNS} FROM role WHERE id = $1")

LIST_ROLES = crossing(
    "roles.list",
    SHARED,
    f"""
    SELECT {ROLE_COLUMNS} FROM role
    WHERE (created_time, id) > (coalesce($1::timestamptz, '-infinity'), coalesce($2::text, ''))
    ORDER BY created_time, id LIMIT $3
    """,
)

KNOWN_ROLES = crossing("roles.known", SHARED, "SELECT id FROM role WHERE id = ANY($1::text[])")
