"""Exchanging the key that secrets, webhooks' too, are sealed with, while they are used and changed."""

from __future__ import annotations

from dataclasses import dataclass

from db.secrets import ROTATE_SECRETS
from db.statements import Connection, UntypedStatement
from db.webhooks import ROTATE_WEBHOOKS
from pagemill.secret_box import Sealed, SecretBox, SecretUnreadable

BATCH = 100


@dataclass(frozen=True, slots=True)
class Rotation:
    """How many secrets have a new seal, and why others have not."""

    rotated: int
    unreadable: list[str]


async def rotate_secrets(connection: Connection, box: SecretBox) -> Rotation:
    """Seal everything with the box's first key; what is changed meanwhile is looked at again.

    Each batch is a transaction: what an interruption leaves, the next run does.
    """
    rotated = 0
    unreadable: list[str] = []
    for statements in (ROTATE_SECRETS, ROTATE_WEBHOOKS):
        while True:
            attempted, done, failed = await _pass(connection, box, *statements)
            rotated += done
            if done == attempted:
                unreadable += failed
                break
    return Rotation(rotated, unreadable)


async def _pass(
    connection: Connection, box: SecretBox, find: UntypedStatement, seal: UntypedStatement
) -> tuple[int, int, list[str]]:
    """Go through all rows under other keys once: how many could be read, were rotated, and what failed."""
    attempted = done = 0
    unreadable: list[str] = []
    after = ""
    while rows := await find.fetch(connection, box.key_id, after, BATCH):
        after = rows[-1]["id"]
        ids: list[str] = []
        former_nonces: list[bytes] = []
        seals: list[Sealed] = []
        for row in rows:
            former = Sealed(row["key_id"], row["nonce"], row["ciphertext"])
            try:
                data = box.open(row["organization_id"], row["id"], former)
            except SecretUnreadable as error:
                unreadable.append(error.message)
                continue
            ids.append(row["id"])
            former_nonces.append(former.nonce)
            seals.append(box.seal(row["organization_id"], row["id"], data))
        nonces, ciphertexts = [seal.nonce for seal in seals], [seal.ciphertext for seal in seals]
        attempted += len(ids)
        done += await seal.execute(connection, box.key_id, ids, former_nonces, nonces, ciphertexts)
    return attempted, done, unreadable
