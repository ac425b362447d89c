"""``Idempotency-Key``: a POST that is repeated with the same key has its effect once, and the same answer.

On a route with ``transaction="request"`` the key is a row of the same transaction as the effect: both are
committed or neither is, and a repetition waits for that row. On a route with ``transaction="own"`` the row is
committed before the handler runs, and completed after it. See docs/decisions/0007-idempotency.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import hmac
import logging
import os
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from litestar import Request, Response
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

from db import idempotency as statements
from db.pool import CONNECTION_ERRORS
from db.statements import Connection
from pagemill.api.auth.tokens import Caller
from pagemill.api.http.app_state import AppState, state_of
from pagemill.api.http.error_responses import DATABASE_AWAY, DATABASE_BUSY
from pagemill.api.http.route_options import transaction_of
from pagemill.errors import BadRequest, Unavailable
from pagemill.settings import Settings

logger = logging.getLogger("pagemill.api.http.idempotency")

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
CLAIM = "idempotency"
"""Key of the claim in the state of a request."""

KEPT_SECONDS = 24 * 3600.0
WAIT_SECONDS = 5.0
"""Longest wait of a repetition for the first answer, before it is answered 503."""
POLL_SECONDS = 0.1
ABANDONED_SECONDS = 120.0
"""Added to the longest wait of a handler, the age after which unfinished work counts as abandoned."""
NONCE_BYTES = 12

KEY_PATTERN = r"^[!-~]([ -~]{0,253}[!-~])?$"

_KEY = re.compile(KEY_PATTERN)


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer to the first request."""

    status: int
    body: bytes

    def response(self) -> Response[Any]:
        headers = {REPLAYED: "true"}
        if not self.body:
            return Response(None, status_code=self.status, headers=headers)
        return Response(self.body, status_code=self.status, headers=headers, media_type="application/json")


class Cipher:
    """Encryption of answers and fingerprints of requests, by the token key. Answers can hold secrets."""

    def __init__(self, settings: Settings) -> None:
        derived = HKDF(SHA256(), length=64, salt=None, info=b"idempotency").derive(
            settings.token_key.encode()
        )
        self._fingerprint_key, self._cipher = derived[:32], AESGCM(derived[32:])

    def fingerprint(self, *parts: bytes) -> str:
        digest = hmac.new(self._fingerprint_key, digestmod=hashlib.sha256)
        for part in parts:
            digest.update(len(part).to_bytes(8) + part)
        return digest.hexdigest()

    def seal(self, body: bytes, bound_to: str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, body, bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """Decrypt an answer. Raises BadRequest when the token key has changed since it was given."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
        except InvalidTag:
            raise BadRequest(f"{HEADER}: its answer cannot be given again") from None


class Claim:
    """A key while its request is worked on.

    ``connection`` is the request's when the key is in its transaction, else None.
    """

    def __init__(self, state: AppState, caller: Caller, key: str, cipher: Cipher, fingerprint: str) -> None:
        self._state, self._cipher, self._fingerprint = state, cipher, fingerprint
        self._key = statements.KeyOfCaller(
            organization_id=caller.organization_id, principal_id=caller.principal_id, key=key
        )
        self._claimed: datetime.datetime | None = None
        self._transaction: Transaction | None = None
        self.connection: PoolConnectionProxy | None = None

    @property
    def is_first(self) -> bool:
        """Whether this request does the work."""
        return self._claimed is not None

    async def begin_in_request_transaction(self) -> Stored | None:
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

    async def begin_in_own_transaction(self) -> Stored | None:
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

    async def _take(self, connection: Connection) -> Stored | None:
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
            raise BadRequest(f"{HEADER}: was used for another request")
        if row.status_code is None or row.body is None:
            return None
        return Stored(row.status_code, self._cipher.open(row.body, self._bound_to))

    async def complete(self, status: int, body: bytes) -> None:
        """Store the answer. In the request's transaction this commits the request's work."""
        assert self._claimed is not None
        sealed = self._cipher.seal(body, self._bound_to)
        async with self._connected() as connection:
            await statements.complete_key(
                connection, **self._key, claimed_time=self._claimed, status_code=status, body=sealed
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


async def claim_key(request: Request[Any, Any, Any]) -> Response[Any] | None:
    """Claim the key of a request, if it has one. Returns the answer that was given to the key before.

    Raises BadRequest and Unavailable.
    """
    if request.method != "POST" or request.route_handler.opt.get("public"):
        return None
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise BadRequest(f"{HEADER}: must have 1 to 255 printable ASCII characters")
    state = state_of(request)
    cipher = Cipher(state.settings)
    fingerprint = cipher.fingerprint(
        b"POST",
        request.scope["path"].rstrip("/").encode(),
        request.scope["query_string"],
        await request.body(),
    )
    claim = Claim(state, request.scope["state"]["caller"], key, cipher, fingerprint)
    request.scope["state"][CLAIM] = claim
    match transaction_of(request.route_handler):
        case "request":
            stored = await claim.begin_in_request_transaction()
        case "own":
            stored = await claim.begin_in_own_transaction()
    return None if stored is None else stored.response()


def idempotency_middleware(app: ASGIApp) -> ASGIApp:
    """Store the answer to a claimed key before it is sent, and release the key of a failed request."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        answer = _Answer()

        async def store_and_send(message: Message) -> None:
            claim = scope.get("state", {}).get(CLAIM)
            if claim is None:
                await send(message)
            elif answer.is_complete_with(message):
                for kept in await _settle(claim, answer):
                    await send(kept)

        try:
            await app(scope, receive, store_and_send)
        finally:
            claim = scope.get("state", {}).pop(CLAIM, None)
            if claim is not None:
                await claim.end()

    return middleware


class _Answer:
    """An answer, collected until its body is complete."""

    def __init__(self) -> None:
        self.start: HTTPResponseStartEvent | None = None
        self.body = b""

    def is_complete_with(self, message: Message) -> bool:
        if message["type"] == "http.response.start":
            self.start = message
            return False
        if message["type"] != "http.response.body":
            return False
        self.body += message["body"]
        return not message["more_body"]

    def messages(self) -> Sequence[Message]:
        assert self.start is not None
        return [self.start, {"type": "http.response.body", "body": self.body, "more_body": False}]

    def become_unavailable(self) -> None:
        """Replace the answer by 503, because the request's work could not be committed."""
        assert self.start is not None
        self.body = msgspec.json.encode({"message": DATABASE_AWAY})
        self.start["status"] = Unavailable.status
        headers = MutableScopeHeaders(self.start)
        headers["Content-Type"], headers["Content-Length"] = "application/json", str(len(self.body))
        headers["Retry-After"] = str(Unavailable.retry_after_seconds)


async def _settle(claim: Claim, answer: _Answer) -> Sequence[Message]:
    """Store the answer or release the key; return the messages to send."""
    assert answer.start is not None
    try:
        if claim.is_first and 200 <= answer.start["status"] < 300:
            await claim.complete(answer.start["status"], answer.body)
    except DATABASE_BUSY as error:
        logger.warning("the answer to an idempotency key was not stored: %r", error)
        if claim.connection is not None:
            answer.become_unavailable()
    finally:
        await claim.end()
    return answer.messages()
