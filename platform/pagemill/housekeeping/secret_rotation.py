"""Exchange of the key that secrets are sealed with, while they are in use.

Those of webhooks are among them, and the private keys that sign tokens.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from db import key_rotation as statements
from db.key_rotation import SealedRow, SealedSigningKeyRow
from db.statements import Connection, RowCount
from pagemill.housekeeping.signing_keys import bound_to
from pagemill.secret_box import Sealed, SecretBox, SecretUnreadable

BATCH = 100

SealedRows: TypeAlias = Sequence[SealedRow | SealedSigningKeyRow]


class ListToReseal(Protocol):
    """A statement that returns the next rows of a table that are sealed with another key."""

    def __call__(
        self, connection: Connection, *, key_id: str, after_id: str, limit: int
    ) -> Awaitable[SealedRows]:
        """Return the rows after an id."""


class Reseal(Protocol):
    """A statement that replaces the sealed data of a table's rows."""

    def __call__(
        self,
        connection: Connection,
        *,
        key_id: str,
        ids: Sequence[str],
        former_nonces: Sequence[bytes],
        nonces: Sequence[bytes],
        ciphertexts: Sequence[bytes],
    ) -> Awaitable[RowCount]:
        """Seal the rows anew and return how many had not been changed meanwhile."""


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """Result of a rotation: how many secrets were sealed anew, and why others could not be."""

    rotated: int
    unreadable: list[str]


@dataclass(frozen=True, slots=True)
class _Pass:
    """Result of one pass through a table: rows that could be read, rows sealed anew, and failures."""

    readable: int
    resealed: int
    unreadable: list[str]


async def rotate_secrets(connection: Connection, box: SecretBox) -> KeyRotation:
    """Seal all secrets with the first key of the box; repeat for rows that are changed meanwhile.

    Each batch is a transaction of its own, so that an interrupted rotation can be continued.
    """
    resealed = 0
    unreadable: list[str] = []
    for list_rows, reseal in (
        (statements.list_secrets_to_reseal, statements.reseal_secrets),
        (statements.list_webhooks_to_reseal, statements.reseal_webhooks),
        (statements.list_signing_keys_to_reseal, statements.reseal_signing_keys),
    ):
        while True:
            one = await _pass_through(connection, box, list_rows, reseal)
            resealed += one.resealed
            if one.resealed == one.readable:
                unreadable += one.unreadable
                break
    return KeyRotation(resealed, unreadable)


async def _pass_through(
    connection: Connection, box: SecretBox, list_rows: ListToReseal, reseal: Reseal
) -> _Pass:
    readable = resealed = 0
    unreadable: list[str] = []
    after_id = ""
    while rows := await list_rows(connection, key_id=box.key_id, after_id=after_id, limit=BATCH):
        after_id = rows[-1].id
        opened: list[SealedRow | SealedSigningKeyRow] = []
        seals: list[Sealed] = []
        for row in rows:
            place = _place_of(row)
            try:
                data = box.open(*place, Sealed(row.key_id, row.nonce, row.ciphertext))
            except SecretUnreadable as error:
                unreadable.append(error.message)
                continue
            opened.append(row)
            seals.append(box.seal(*place, data))
        readable += len(opened)
        resealed += await reseal(
            connection,
            key_id=box.key_id,
            ids=[row.id for row in opened],
            former_nonces=[row.nonce for row in opened],
            nonces=[seal.nonce for seal in seals],
            ciphertexts=[seal.ciphertext for seal in seals],
        )
    return _Pass(readable, resealed, unreadable)


def _place_of(row: SealedRow | SealedSigningKeyRow) -> tuple[str, str]:
    """Return the organization and the id that the sealed data of a row is bound to."""
    if isinstance(row, SealedSigningKeyRow):
        return "", bound_to(row.id)
    return row.organization_id, row.id
