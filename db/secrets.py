"""Secrets: sealed data that is written and used, never shown."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from msgspec import UnsetType

from db.statements import Connection, Row, RowCount, columns, tenant
from pagemill.ids import OrganizationId, PrincipalId, SecretId


class SecretRow(Row):
    """A secret without its data."""

    id: SecretId
    name: str | None
    description: str | None
    created_time: datetime.datetime
    created_by: PrincipalId | None
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None


class SealedSecretRow(Row):
    """A secret with its sealed data."""

    id: SecretId
    key_id: str
    nonce: bytes
    ciphertext: bytes


@tenant(f"""
    INSERT INTO secret (
        organization_id, id, name, description, key_id, nonce, ciphertext, created_by, created_time
    )
    VALUES (
        :organization_id, :secret_id, :name, :description, :key_id, :nonce, :ciphertext, :created_by, now()
    )
    RETURNING {columns(SecretRow)}
""")
async def insert_secret(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    secret_id: SecretId,
    name: str | None,
    description: str | None,
    key_id: str,
    nonce: bytes,
    ciphertext: bytes,
    created_by: PrincipalId | None,
) -> SecretRow:
    """Add a secret with its sealed data."""


@tenant(f"""
    SELECT {columns(SecretRow)} FROM secret
    WHERE organization_id = :organization_id
        AND (created_time, id) > (
            coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
        )
    ORDER BY created_time, id LIMIT :limit
""")
async def list_secrets(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[SecretRow]:
    """Return a page of secrets, oldest first."""


@tenant(f"""
    UPDATE secret SET
        name = CASE WHEN :name_sent THEN :name ELSE name END,
        description = CASE WHEN :description_sent THEN :description ELSE description END,
        key_id = coalesce(:key_id, key_id),
        nonce = coalesce(:nonce, nonce),
        ciphertext = coalesce(:ciphertext, ciphertext),
        updated_time = now(), updated_by = :updated_by
    WHERE organization_id = :organization_id AND id = :secret_id
    RETURNING {columns(SecretRow)}
""")
async def update_secret(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    secret_id: SecretId,
    name: str | UnsetType | None,
    description: str | UnsetType | None,
    key_id: str | None,
    nonce: bytes | None,
    ciphertext: bytes | None,
    updated_by: PrincipalId | None,
) -> SecretRow | None:
    """Change what is sent of a secret; without new sealed data the old stays."""


@tenant(f"""
    SELECT {columns(SecretRow)} FROM secret
    WHERE organization_id = :organization_id AND id = :secret_id FOR UPDATE
""")
async def lock_secret(
    connection: Connection, *, organization_id: OrganizationId, secret_id: SecretId
) -> SecretRow | None:
    """Return a secret and lock it until the transaction ends."""


@tenant("DELETE FROM secret WHERE organization_id = :organization_id AND id = :secret_id")
async def delete_secret(
    connection: Connection, *, organization_id: OrganizationId, secret_id: SecretId
) -> RowCount:
    """Delete a secret."""


@tenant("""
    SELECT id FROM secret
    WHERE organization_id = :organization_id AND id = ANY(:secret_ids::text[])
    ORDER BY id FOR KEY SHARE
""")
async def keep_secrets(
    connection: Connection, *, organization_id: OrganizationId, secret_ids: Sequence[SecretId]
) -> list[SecretId]:
    """Return which of the secrets exist, and keep them from being deleted until the transaction ends."""


# The two members in which a docker image's parameters, or a workflow's configuration, name secrets.
_NAMES_IT = """
    jsonb_path_exists(
        {column}, '$.secretId ? (@ == $secret)', jsonb_build_object('secret', :secret_id::text)
    )
    OR jsonb_path_exists(
        {column}, '$.environmentSecrets[*] ? (@ == $secret)',
        jsonb_build_object('secret', :secret_id::text)
    )
"""


@tenant(f"""
    SELECT id FROM (
        SELECT id, created_time FROM transition
        WHERE organization_id = :organization_id AND ({_NAMES_IT.format(column="parameters")})
        UNION ALL
        SELECT id, created_time FROM workflow
        WHERE organization_id = :organization_id AND (
            {_NAMES_IT.format(column="completed_config")}
            OR {_NAMES_IT.format(column="email_config")}
        )
    ) AS users
    ORDER BY created_time, id LIMIT 1
""")
async def find_user_of_secret(
    connection: Connection, *, organization_id: OrganizationId, secret_id: SecretId
) -> str | None:
    """Return the id of the oldest transition or workflow that names the secret."""


@tenant(f"""
    SELECT {columns(SealedSecretRow)} FROM secret
    WHERE organization_id = :organization_id AND id = ANY(:secret_ids::text[])
""")
async def list_sealed_secrets(
    connection: Connection, *, organization_id: OrganizationId, secret_ids: Sequence[SecretId]
) -> list[SealedSecretRow]:
    """Return those of the secrets that exist, with their sealed data."""
