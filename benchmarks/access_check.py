"""Processor time of what the guard decides without the database: the token, and the permissions of roles.

Each figure is the median of rounds, in microseconds, of the process' own processor time: a busy machine
changes it little. ``tokenKeptUs`` is a token that was seen before, as nearly all are; ``tokenFirstUs`` one
that was not.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from joserfc.jwk import ECKey

from pagemill.api.auth.named_resources import ids_in_body, require_named, require_readable
from pagemill.api.auth.requested_resources import action_of, resource_of
from pagemill.api.auth.seeded_roles import ROLES
from pagemill.api.auth.signing_keys import SigningKey
from pagemill.api.auth.tokens import AccessTokens, Caller, sign_token
from pagemill.api.resources.documents import PatchDocument
from pagemill.ids import DatasetId, GrantId, OrganizationId, PrincipalId
from pagemill.permissions import permissions_of
from pagemill.settings import Settings

ROUNDS = 5
TIMES = 400
MICROSECONDS = 1e6
PATH = "/v1/documents/{document_id:str}"
NAMED = {"document_id": "las:document:a"}
KID = "benchmark"


class _Keys:
    """One signing key, which stands in no database."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": KID, "use": "sig", "alg": "ES256"})
        self.public = ECKey.import_key(self.key.as_dict(private=False))

    async def refresh(self) -> None:
        """Do nothing."""

    def known(self, kid: str) -> ECKey | None:
        """Return the key."""
        return self.public if kid == KID else None


def access_check() -> dict[str, float]:
    """Return the figures by name."""
    return asyncio.run(_measure())


async def _measure() -> dict[str, float]:
    settings = Settings(database_url="", objects_url="")
    keys = _Keys()
    caller = Caller(
        OrganizationId("las:organization:a"), PrincipalId("las:user:a"), grant_id=GrantId("las:grant:a")
    )
    signing = SigningKey(KID, keys.key)
    tokens = [sign_token(caller, signing, settings) for _ in range(TIMES)]
    body = PatchDocument(dataset_id=DatasetId(f"las:dataset:{'0' * 32}"))
    roles = [msgspec.json.encode(role.permissions).decode() for role in ROLES.values()]

    def reader() -> AccessTokens:
        return AccessTokens(keys, settings)  # type: ignore[arg-type]

    async def first() -> None:
        read = reader()
        for token in tokens:
            await read.read(token)

    kept = reader()
    await kept.read(tokens[0])

    async def again() -> None:
        for _ in tokens:
            await kept.read(tokens[0])

    async def permissions() -> None:
        for _ in tokens:
            resource_id = resource_of(PATH).identify(NAMED, caller)
            permissions = permissions_of(roles)
            permissions.allows(resource_id, action_of("PATCH"))
            require_named(permissions, caller, "PATCH", PATH, NAMED, ())
            require_readable(permissions, ids_in_body(body))

    return {
        "permissionsUs": await _each(permissions),
        "tokenKeptUs": await _each(again),
        "tokenFirstUs": await _each(first),
    }


async def _each(run: Callable[[], Awaitable[Any]]) -> float:
    """Return the microseconds that one of ``TIMES`` takes."""
    taken = []
    for _ in range(ROUNDS):
        before = time.process_time()
        await run()
        taken.append(time.process_time() - before)
    return round(statistics.median(taken) / TIMES * MICROSECONDS, 1)
