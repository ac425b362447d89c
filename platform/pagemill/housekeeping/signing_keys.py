"""Rotation of the keys that sign access tokens, while they are in use.

A new key is published before it signs, so that whoever verifies tokens knows it by then. The former one is
accepted until the last token that it signed has expired: nobody is signed out.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

from joserfc.jwk import ECKey

from db import signing_keys as statements
from db.signing_keys import SigningKeyRow
from db.statements import Connection
from pagemill.secret_box import Sealed, SecretBox, SecretUnreadable

ALGORITHM = "ES256"
CURVE: Final = "P-256"
PUBLISHED_SECONDS = 600.0
"""Time for which a key is published before it signs; JWKS may be kept for half of it."""
LEEWAY_SECONDS = 300.0
"""Time for which a key is accepted beyond the last token that it signed: clocks differ."""


async def rotate_signing_key(
    connection: Connection,
    box: SecretBox,
    newest: SigningKeyRow | None,
    *,
    token_lifetime: float,
    revoke: bool = False,
) -> str:
    """Make a new key, retire the one that was seen as the newest, and return the id of the one that is now.

    With ``revoke`` all former keys are deleted, and the tokens that they have signed are refused. When
    another process replaces the same key, one new key comes of it.
    """
    key = ECKey.generate_key(CURVE, {"kid": uuid.uuid4().hex, "use": "sig", "alg": ALGORITHM})
    kid = str(key.kid)
    sealed = box.seal("", bound_to(kid), dict(key.as_dict(private=True)))
    async with connection.transaction():
        if newest is not None:
            await statements.retire_signing_key(
                connection,
                kid=newest.kid,
                signs_seconds=PUBLISHED_SECONDS,
                accepted_seconds=PUBLISHED_SECONDS + token_lifetime + LEEWAY_SECONDS,
            )
        await statements.insert_signing_key(
            connection,
            kid=kid,
            public_key=dict(key.as_dict(private=False)),
            key_id=sealed.key_id,
            nonce=sealed.nonce,
            ciphertext=sealed.ciphertext,
        )
        await statements.delete_ended_signing_keys(connection)
        made = newest_of(await statements.list_signing_keys(connection))
        assert made is not None, "there is a key: this one, or that of another process"
        if revoke:
            await statements.delete_other_signing_keys(connection, kept_kid=made.kid)
        return made.kid


def newest_of(rows: Sequence[SigningKeyRow]) -> SigningKeyRow | None:
    """Return the key that is not retired."""
    return next((row for row in rows if row.retire_time is None), None)


def is_due(rows: Sequence[SigningKeyRow], box: SecretBox, *, lifetime: float) -> bool:
    """Return whether a new key is needed: the newest is too old, cannot be opened, or there is none."""
    newest = newest_of(rows)
    return newest is None or newest.age >= lifetime or open_private_key(newest, box) is None


def open_private_key(row: SigningKeyRow, box: SecretBox) -> ECKey | None:
    """Return a key that signs; None when the key that it is sealed with is gone."""
    try:
        jwk: Any = box.open("", bound_to(row.kid), Sealed(row.key_id, row.nonce, row.ciphertext))
    except SecretUnreadable:
        return None
    return ECKey.import_key(jwk)


def bound_to(kid: str) -> str:
    """Return what the sealed private key is bound to."""
    return f"signing-key/{kid}"
