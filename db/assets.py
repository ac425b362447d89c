"""Assets: what transitions show and run, kept as bytes of any kind."""

from __future__ import annotations

from db.statements import untyped_tenant as tenant

ASSET_COLUMNS = """
    id, name, description, content_key, content_md5, created_time, created_by, updated_time, updated_by
"""

INSERT_ASSET = tenant(
    "assets.insert",
    f"""
    INSERT INTO asset (
        organization_id, id, name, description, content_key, content_md5, created_by, created_time
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, now())
    RETURNING {ASSET_COLUMNS}
    """,
)

GET_ASSET = tenant("assets.get", f"SELECT {ASSET_COLUMNS} FROM asset WHERE organization_id = $1 AND id = $2")

LIST_ASSETS = tenant(
    "assets.list",
    f"""
    SELECT {ASSET_COLUMNS} FROM asset
    WHERE organization_id = $1
        AND (created_time, id) > (coalesce($2::timestamptz, '-infinity'), coalesce($3::text, ''))
    ORDER BY created_time, id LIMIT $4
    """,
)

LOCK_ASSET = tenant(
    "assets.lock", f"SELECT {ASSET_COLUMNS} FROM asset WHERE organization_id = $1 AND id = $2 FOR UPDATE"
)

# A member that is not sent keeps its value: NULL says so where null is no value, a flag where it is one.
UPDATE_ASSET = tenant(
    "assets.update",
    f"""
    UPDATE asset SET
        name = CASE WHEN $3 THEN $4 ELSE name END,
        description = CASE WHEN $5 THEN $6 ELSE description END,
        content_key = coalesce($7, content_key),
        content_md5 = coalesce($8, content_md5),
        updated_time = now(), updated_by = $9
    WHERE organization_id = $1 AND id = $2
    RETURNING {ASSET_COLUMNS}
    """,
)

DELETE_ASSET = tenant("assets.delete", "DELETE FROM asset WHERE organization_id = $1 AND id = $2")

# Whoever writes a transition that names assets holds them with this, so that none is deleted in between.
KEEP_ASSETS = tenant(
    "assets.keep",
    "SELECT id FROM asset WHERE organization_id = $1 AND id = ANY($2::text[]) ORDER BY id FOR KEY SHARE",
)

ASSET_USER = tenant(
    "assets.user",
    """
    SELECT id FROM transition
    WHERE organization_id = $1
        AND jsonb_path_exists(parameters, '$.assets.* ? (@ == $asset)', jsonb_build_object('asset', $2::text))
    ORDER BY created_time, id LIMIT 1
    """,
)
