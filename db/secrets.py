"""Secrets: sealed data that is written and used, never shown."""

from __future__ import annotations

from db.statements import UntypedStatement
from db.statements import untyped_crossing as crossing
from db.statements import untyped_tenant as tenant

SHOWN = "id, name, description, created_time, created_by, updated_time, updated_by"

INSERT_SECRET = tenant(
    "secrets.insert",
    f"""
    INSERT INTO secret (
        organization_id, id, name, description, key_id, nonce, ciphertext, created_by, created_time
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())
    RETURNING {SHOWN}
    """,
)

LIST_SECRETS = tenant(
    "secrets.list",
    f"""
    SELECT {SHOWN} FROM secret
    WHERE organization_id = $1
        AND (created_time, id) > (coalesce($2::timestamptz, '-infinity'), coalesce($3::text, ''))
    ORDER BY created_time, id LIMIT $4
    """,
)

# A member that is not sent keeps its value: NULL says so where null is no value, a flag where it is one.
UPDATE_SECRET = tenant(
    "secrets.update",
    f"""
    UPDATE secret SET
        name = CASE WHEN $3 THEN $4 ELSE name END,
        description = CASE WHEN $5 THEN $6 ELSE description END,
        key_id = coalesce($7, key_id),
        nonce = coalesce($8, nonce),
        ciphertext = coalesce($9, ciphertext),
        updated_time = now(), updated_by = $10
    WHERE organization_id = $1 AND id = $2
    RETURNING {SHOWN}
    """,
)

LOCK_SECRET = tenant(
    "secrets.lock", f"SELECT {SHOWN} FROM secret WHERE organization_id = $1 AND id = $2 FOR UPDATE"
)

DELETE_SECRET = tenant("secrets.delete", "DELETE FROM secret WHERE organization_id = $1 AND id = $2")

# Whoever writes a transition or workflow that names secrets holds them with this, so that none is deleted
# in between.
KEEP_SECRETS = tenant(
    "secrets.keep",
    "SELECT id FROM secret WHERE organization_id = $1 AND id = ANY($2::text[]) ORDER BY id FOR KEY SHARE",
)

# The two places in which a docker image's parameters, or a workflow's configuration, name secrets.
_NAMES_IT = """
    jsonb_path_exists(
        {column}, '$.secretId ? (@ == $secret)', jsonb_build_object('secret', $2::text)
    )
    OR jsonb_path_exists(
        {column}, '$.environmentSecrets[*] ? (@ == $secret)', jsonb_build_object('secret', $2::text)
    )
"""

SECRET_USER = tenant(
    "secrets.user",
    f"""
    SELECT id FROM (
        SELECT id, created_time FROM transition
        WHERE organization_id = $1 AND ({_NAMES_IT.format(column="parameters")})
        UNION ALL
        SELECT id, created_time FROM workflow
        WHERE organization_id = $1 AND (
            {_NAMES_IT.format(column="completed_config")} OR {_NAMES_IT.format(column="email_config")}
        )
    ) AS users
    ORDER BY created_time, id LIMIT 1
    """,
)


def rotating(table: str) -> tuple[UntypedStatement, UntypedStatement]:
    """What exchanges the key of a table's sealed rows: find those under other keys, and seal them anew.

    A row that was changed meanwhile has another nonce and stays as it is. Rows are locked in the order of
    their ids: two rotations do not wait in a ring.
    """
    find = crossing(
        f"{table}s.to_rotate",
        "the operator exchanges the key of all organizations",
        f"""
        SELECT organization_id, id, key_id, nonce, ciphertext FROM {table}
        WHERE key_id <> $1 AND id > $2
        ORDER BY id LIMIT $3
        """,
    )
    seal = crossing(
        f"{table}s.rotate",
        "the operator exchanges the key of all organizations",
        f"""
        WITH chosen AS (
            SELECT {table}.id, rotated.nonce, rotated.ciphertext
            FROM {table} JOIN unnest($2::text[], $3::bytea[], $4::bytea[], $5::bytea[])
                AS rotated (id, former_nonce, nonce, ciphertext)
                ON {table}.id = rotated.id AND {table}.nonce = rotated.former_nonce
            ORDER BY {table}.id FOR UPDATE OF {table}
        )
        UPDATE {table} SET key_id = $1, nonce = chosen.nonce, ciphertext = chosen.ciphertext
        FROM chosen WHERE {table}.id = chosen.id
        """,
    )
    return find, seal


ROTATE_SECRETS = rotating("secret")
