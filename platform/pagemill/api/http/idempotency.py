"""``Idempotency-Key``: a POST that is repeated with the same key has its effect once, and the same answer.

On a route with ``transaction="request"`` the key is a row of the same transaction as the effect: both are
committed or neither is, and a repetition waits for that row. On a route with ``transaction="own"`` the row is
committed before the handler runs, and completed after it. See docs/decisions/0007-idempotency.md.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Response
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

from pagemill.api.http.app_state import state_of
from pagemill.api.http.error_responses import DATABASE_AWAY, DATABASE_BUSY
from pagemill.api.http.idempotency_cipher import AnswerCipher
from pagemill.api.http.idempotency_claim import IdempotencyClaim, StoredAnswer
from pagemill.api.http.request_bodies import JSON
from pagemill.api.http.requests import ApiRequest
from pagemill.api.http.route_options import transaction_of
from pagemill.errors import BadRequest, Unavailable

logger = logging.getLogger("pagemill.api.http.idempotency")

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
CLAIM = "idempotency"
"""Key of the claim in the state of a request."""

KEY_PATTERN = r"^[!-~]([ -~]{0,253}[!-~])?$"

_KEY = re.compile(KEY_PATTERN)


async def claim_key(request: ApiRequest) -> Response[Any] | None:
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
    cipher = AnswerCipher(state.settings)
    fingerprint = cipher.fingerprint(
        b"POST",
        request.scope["path"].rstrip("/").encode(),
        request.scope["query_string"],
        await request.body(),
    )
    claim = IdempotencyClaim(state, request.scope["state"]["caller"], key, cipher, fingerprint)
    request.scope["state"][CLAIM] = claim
    match transaction_of(request.route_handler):
        case "request":
            stored = await claim.begin_in_request_transaction()
        case "own":
            stored = await claim.begin_in_own_transaction()
    return None if stored is None else _repeat(stored)


def _repeat(answer: StoredAnswer) -> Response[Any]:
    headers = {REPLAYED: "true"}
    if not answer.body:
        return Response(None, status_code=answer.status, headers=headers)
    return Response(answer.body, status_code=answer.status, headers=headers, media_type=JSON)


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


async def _settle(claim: IdempotencyClaim, answer: _Answer) -> Sequence[Message]:
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
