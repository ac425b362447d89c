"""Exchange of the key that secrets, and the signing secrets of webhooks, are sealed with."""

from __future__ import annotations

from collections.abc import Sequence

from db.statements import Connection, Row, RowCount, columns, crossing
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


def reseal(table: str) -> str:
    """Return the SQL that replaces the sealed data of a table's rows.

    A row that was changed meanwhile has another nonce and stays as it is. Rows are locked in the order of
    their ids, so that two rotations do not deadlock.
    """
    return f"""
        WITH chosen AS (
            SELECT {table}.id, rotated.nonce, rotated.ciphertext
            FROM {table} JOIN unnest(
                :ids::text[], :former_nonces::bytea[], :nonces::bytea[], :ciphertexts::bytea[]
            ) AS rotated (id, former_nonce, nonce, ciphertext)
                ON {table}.id = rotated.id AND {table}.nonce = rotated.former_nonce
            ORDER BY {table}.id FOR UPDATE OF {table}
        )
        UPDATE {table} SET key_id = :key_id, nonce = chosen.nonce, ciphertext = chosen.ciphertext
        FROM chosen WHERE {table}.id = chosen.id
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
