"""App clients, which call the API with credentials of their own or let users sign in."""

from __future__ import annotations

from db.statements import untyped_crossing as crossing
from db.statements import untyped_tenant as tenant

APP_CLIENT_COLUMNS = """
    id, client_id, secret_hash IS NOT NULL AS has_secret, name, description, configuration, role_ids,
    created_time, created_by, updated_time, updated_by
"""

INSERT_APP_CLIENT = tenant(
    "app_clients.insert",
    f"""
    INSERT INTO app_client (
        organization_id, id, client_id, secret_hash, name, description, configuration, role_ids,
        created_time, created_by
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now(), $9)
    RETURNING {APP_CLIENT_COLUMNS}
    """,
)

FIND_APP_CLIENT = crossing(
    "app_clients.find",
    "the caller has no organization before its credentials are known",
    "SELECT id, organization_id, secret_hash FROM app_client WHERE client_id = $1",
)

APP_CLIENT_EXISTS = tenant(
    "app_clients.exists", "SELECT true FROM app_client WHERE organization_id = $1 AND id = $2"
)

GET_APP_CLIENT = tenant(
    "app_clients.get",
    f"SELECT {APP_CLIENT_COLUMNS} FROM app_client WHERE organization_id = $1 AND id = $2",
)

LIST_APP_CLIENTS = tenant(
    "app_clients.list",
    f"""
    SELECT {APP_CLIENT_COLUMNS} FROM app_client
    WHERE organization_id = $1
        AND (created_time, id) > (coalesce($2::timestamptz, '-infinity'), coalesce($3::text, ''))
    ORDER BY created_time, id LIMIT $4
    """,
)

# A member that is not sent keeps its value: NULL says so where null is no value, a flag where it is one.
UPDATE_APP_CLIENT = tenant(
    "app_clients.update",
    f"""
    UPDATE app_client SET
        name = CASE WHEN $3 THEN $4 ELSE name END,
        description = CASE WHEN $5 THEN $6 ELSE description END,
        configuration = configuration || $7::jsonb,
        role_ids = coalesce($8::jsonb, role_ids),
        updated_time = now(),
        updated_by = $9
    WHERE organization_id = $1 AND id = $2
    RETURNING {APP_CLIENT_COLUMNS}
    """,
)

DELETE_APP_CLIENT = tenant(
    "app_clients.delete",
    f"DELETE FROM app_client WHERE organization_id = $1 AND id = $2 RETURNING {APP_CLIENT_COLUMNS}",
)
