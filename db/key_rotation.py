"""Exchange of the key that secrets are sealed with, those of webhooks and the keys that sign tokens too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from db.statements import Connection, NeverNull, Row, RowCount, columns, crossing
from pagemill.ids import OrganizationId

ROTATION = "the operator exchanges the key of all organizations"


class SealedRow(Row):
    """The sealed data of a row, and what it is bound to."""

    organization_id: OrganizationId
    id: str
    key_id: str
    nonce: bytes
    ciphertext: bytes


def sealed_with_other_keys(table: str) -> str:
    """Return the SQL for a batch of a table's rows that are sealed with another key than ``:key_id``."""
    return f"""
        SELECT {columns(SealedRow)} FROM {table}
        WHERE key_id <> :key_id AND id > :after_id
        ORDER BY id LIMIT :limit
    """


def reseal(table: str, id_column: str = "id") -> str:
    """Return the SQL that replaces the sealed data of a table's rows.

    A row that was changed meanwhile has another nonce and stays as it is. Rows are locked in the order of
    their ids, so that two rotations do not deadlock.
    """
    return f"""
        WITH chosen AS (
            SELECT {table}.{id_column}, rotated.nonce, rotated.ciphertext
            FROM {table} JOIN unnest(
                :ids::text[], :former_nonces::bytea[], :nonces::bytea[], :ciphertexts::bytea[]
            ) AS rotated (id, former_nonce, nonce, ciphertext)
                ON {table}.{id_column} = rotated.id AND {table}.nonce = rotated.former_nonce
            ORDER BY {table}.{id_column} FOR UPDATE OF {table}
        )
        UPDATE {table} SET key_id = :key_id, nonce = chosen.nonce, ciphertext = chosen.ciphertext
        FROM chosen WHERE {table}.{id_column} = chosen.{id_column}
    """


@crossing(ROTATION, sealed_with_other_keys("secret"))
async def list_secrets_to_reseal(
    connection: Connection, *, key_id: str, after_id: str, limit: int
) -> list[SealedRow]:
    """Return the next secrets, by id, that are sealed with another key."""


@crossing(ROTATION, reseal("secret"))
async def reseal_secrets(
    connection: Connection,
    *,
    key_id: str,
    ids: Sequence[str],
    former_nonces: Sequence[bytes],
    nonces: Sequence[bytes],
    ciphertexts: Sequence[bytes],
) -> RowCount:
    """Replace the sealed data of the secrets that have not been changed meanwhile."""


@crossing(ROTATION, sealed_with_other_keys("webhook"))
async def list_webhooks_to_reseal(
    connection: Connection, *, key_id: str, after_id: str, limit: int
) -> list[SealedRow]:
    """Return the next webhooks, by id, whose signing secret is sealed with another key."""


@crossing(ROTATION, reseal("webhook"))
async def reseal_webhooks(
    connection: Connection,
    *,
    key_id: str,
    ids: Sequence[str],
    former_nonces: Sequence[bytes],
    nonces: Sequence[bytes],
    ciphertexts: Sequence[bytes],
) -> RowCount:
    """Replace the sealed signing secrets of the webhooks that have not been changed meanwhile."""


class SealedSigningKeyRow(Row):
    """The sealed private key of a signing key, which belongs to no organization."""

    id: Annotated[str, NeverNull("kid is the primary key")]
    key_id: str
    nonce: bytes
    ciphertext: bytes


@crossing(
    ROTATION,
    f"""
    SELECT {columns(SealedSigningKeyRow, id="kid")} FROM signing_key
    WHERE key_id <> :key_id AND kid > :after_id
    ORDER BY kid LIMIT :limit
    """,
)
async def list_signing_keys_to_reseal(
    connection: Connection, *, key_id: str, after_id: str, limit: int
) -> list[SealedSigningKeyRow]:
    """Return the next signing keys, by id, whose private key is sealed with another key."""


@crossing(ROTATION, reseal("signing_key", "kid"))
async def reseal_signing_keys(
    connection: Connection,
    *,
    key_id: str,
    ids: Sequence[str],
    former_nonces: Sequence[bytes],
    nonces: Sequence[bytes],
    ciphertexts: Sequence[bytes],
) -> RowCount:
    """Replace the sealed private keys of the signing keys that have not been changed meanwhile."""
