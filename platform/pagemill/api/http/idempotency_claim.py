"""Claim of an idempotency key while its request is worked on."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction

from db import idempotency as statements
from db.pool import CONNECTION_ERRORS
from db.statements import Connection
from pagemill.api.auth.tokens import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.idempotency_cipher import AnswerCipher
from pagemill.errors import BadRequest, Unavailable

logger = logging.getLogger("pagemill.api.http.idempotency")

KEPT_SECONDS = 24 * 3600.0
WAIT_SECONDS = 5.0
"""Longest wait of a repetition for the first answer, before it is answered 503."""
POLL_SECONDS = 0.1
ABANDONED_SECONDS = 120.0
"""Added to the longest wait of a handler, the age after which unfinished work counts as abandoned."""

NAMED_ID = re.compile(rb"las:(?:document|prediction):[0-9a-f]{32}")
ERASED = b'{"message":"The first answer went with the document that it names"}'


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The answer to the first request."""

    status: int
    body: bytes


class IdempotencyClaim:
    """A key while its request is worked on.

    ``connection`` is the request's when the key is in its transaction, else None.
    """

    def __init__(
        self, state: AppState, caller: Caller, key: str, cipher: AnswerCipher, fingerprint: str
    ) -> None:
        self._state, self._cipher, self._fingerprint = state, cipher, fingerprint
        self._key = statements.KeyOfCaller(
            organization_id=caller.organization_id, principal_id=caller.principal_id, key=key
        )
        self._claimed: datetime.datetime | None = None
        self._transaction: Transaction | None = None
        self.connection: PoolConnectionProxy | None = None

    @property
    def is_first(self) -> bool:
        """Return whether this request does the work."""
        return self._claimed is not None

    async def begin_in_request_transaction(self) -> StoredAnswer | None:
        """Claim the key in the transaction that the handler will work in.

        Returns the first answer, or None when this request is the first. Raises BadRequest when another
        request had the key, Unavailable when the first is still worked on.
        """
        self.connection = await self._state.connection()
        self._transaction = self.connection.transaction()
        await self._transaction.start()
        try:
            await statements.limit_lock_wait(self.connection, timeout=f"{WAIT_SECONDS}s")
            stored = await self._take(self.connection)
            await statements.limit_lock_wait(self.connection, timeout="0")
        except asyncpg.LockNotAvailableError:
            raise _still_in_work() from None
        if stored is None and not self.is_first:
            raise _still_in_work()
        return stored

    async def begin_in_own_transaction(self) -> StoredAnswer | None:
        """Claim the key and commit that. Otherwise the same; no connection is held while waiting."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    async with self._state.connection() as connection:
                        stored = await self._take(connection)
                    if stored is not None or self.is_first:
                        return stored
                    await asyncio.sleep(POLL_SECONDS)
        raise _still_in_work()

    async def _take(self, connection: Connection) -> StoredAnswer | None:
        """Claim the key, or return its answer; do neither while another request works on it."""
        abandoned = self._state.settings.prediction_wait + ABANDONED_SECONDS
        self._claimed = await statements.claim_key(
            connection,
            **self._key,
            fingerprint=self._fingerprint,
            kept_seconds=KEPT_SECONDS,
            abandoned_seconds=abandoned,
        )
        row = None if self.is_first else await statements.find_answer(connection, **self._key)
        if row is None:
            return None
        if row.fingerprint != self._fingerprint:
            raise BadRequest("Idempotency-Key: was used for another request")
        if row.status_code is None:
            return None
        if row.body is None:
            return StoredAnswer(row.status_code, ERASED)
        return StoredAnswer(row.status_code, self._cipher.decrypt(row.body, self._bound_to))

    async def complete(self, status: int, body: bytes) -> None:
        """Store the answer. In the request's transaction this commits the request's work."""
        assert self._claimed is not None
        sealed = self._cipher.encrypt(body, self._bound_to)
        async with self._connected() as connection:
            await statements.complete_key(
                connection,
                **self._key,
                claimed_time=self._claimed,
                status_code=status,
                body=sealed,
                named=sorted({found.decode() for found in NAMED_ID.findall(body)}),
            )
            await statements.delete_expired_keys(connection, kept_seconds=KEPT_SECONDS)
        self._claimed = None
        if self._transaction is not None:
            transaction, self._transaction = self._transaction, None
            await transaction.commit()

    async def end(self) -> None:
        """Release the key if it has no answer, undo the work of its transaction, release the connection."""
        transaction, self._transaction = self._transaction, None
        claimed, self._claimed = self._claimed, None
        connection, self.connection = self.connection, None
        try:
            if transaction is not None:
                await transaction.rollback()
            elif claimed is not None:
                async with self._state.connection() as other:
                    await statements.release_key(other, **self._key, claimed_time=claimed)
        except CONNECTION_ERRORS as error:
            # Postgres rolls back by itself; a key that stays claimed is free when it counts as abandoned.
            logger.warning("idempotency key not released: %r", error)
        finally:
            if connection is not None:
                await self._state.pool.release(connection)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        if self.connection is not None:
            yield self.connection
        else:
            async with self._state.connection() as connection:
                yield connection

    @property
    def _bound_to(self) -> str:
        return "\n".join((self._key["organization_id"], self._key["principal_id"], self._key["key"]))


def _still_in_work() -> Unavailable:
    return Unavailable("The first request with this Idempotency-Key is still being answered")
