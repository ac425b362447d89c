"""The audit of requests: what changes something is recorded in the transaction that changes it.

The guard prepares the event of a request. ``provide_connection`` opens a transaction for its handler, the
answer tells the id of what was made, and the event is added before the transaction is committed: an answer
of 2xx is only sent when the audit has it. A handler with transactions of its own takes ``audited`` and
records in one of them. Refusals of callers whose token is good are counted, see ``pagemill.audit.refusals``.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeAlias, cast

import asyncpg
import msgspec
from asyncpg.transaction import Transaction
from litestar.params import Dependency
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

from db.statements import Connection
from pagemill.api.auth.requested_resources import action_of, resource_of
from pagemill.api.auth.tokens import Caller
from pagemill.api.http.app_state import state_of
from pagemill.api.http.client_address import client_address
from pagemill.api.http.error_responses import DATABASE_AWAY, DATABASE_BUSY
from pagemill.api.http.request_ids import request_id_of
from pagemill.api.http.requests import ApiRequest
from pagemill.audit.events import AuditEvent, record
from pagemill.errors import Forbidden, Unavailable

logger = logging.getLogger("pagemill.api.http.auditing")

AUDITED: Final = "audited"
"""Key of a request's event in its state."""

UNNAMED: Final = (":*", ":me")
"""Ends of ids that only the answer tells: those of collections, and of what is the caller's own."""
AUTHORS: Final = frozenset({"createdBy", "updatedBy"})

WORK: Final = frozenset({"prediction", "transition-execution", "workflow-execution", "document"})
"""Kinds that are an organization's daily work: only deleting them is recorded."""


@functools.cache
def is_audited(path_template: str, method: str) -> bool:
    """Return whether requests of a route are recorded when they succeed."""
    if action_of(method) == "read":
        return False
    return method == "DELETE" or resource_of(path_template).kind not in WORK


@dataclass(slots=True)
class AuditedRequest:
    """A request that is recorded when it succeeds. ``details`` are what its handler adds."""

    event: AuditEvent
    kind: str
    details: dict[str, Any] = field(default_factory=dict)
    connection: Connection | None = None
    transaction: Transaction | None = None
    recorded: bool = False

    async def record(self, connection: Connection, resource_id: str | None = None) -> None:
        """Add the event in the caller's transaction, once."""
        if self.recorded:
            return
        self.recorded = True
        resource_id = resource_id or self.event.resource_id
        event = msgspec.structs.replace(self.event, resource_id=resource_id, details=self.details)
        await record(connection, event)

    async def begin(self, connection: Connection, *, in_transaction: bool) -> None:
        """Open a transaction on the connection of the handler, unless it is in one."""
        self.connection = connection
        if self.transaction is None and not in_transaction:
            self.transaction = connection.transaction()
            await self.transaction.start()

    async def settle(self, body: bytes = b"") -> None:
        """Record and commit. ``body`` is that of the answer, which has the id of what was made."""
        if self.connection is None:
            return
        is_unnamed = (self.event.resource_id or "").endswith(UNNAMED)
        await self.record(self.connection, id_made(self.kind, body) if is_unnamed else None)
        transaction, self.transaction, self.connection = self.transaction, None, None
        if transaction is not None:
            await transaction.commit()

    async def undo(self) -> None:
        """Undo what the handler has done; a connection that is broken has undone it already."""
        transaction, self.transaction, self.connection = self.transaction, None, None
        if transaction is not None:
            with contextlib.suppress(asyncpg.InterfaceError, *DATABASE_BUSY):
                await transaction.rollback()


RequestAudit: TypeAlias = Annotated[AuditedRequest, Dependency(skip_validation=True)]
"""Type of the parameter of a handler that records in a transaction of its own."""


def id_made(kind: str, body: bytes) -> str | None:
    """Return the id of the resource in an answer, if it has one of this kind."""
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:
        return None
    beginning = f'"las:{kind}:'.encode()
    for name, raw in members.items():
        if name not in AUTHORS and bytes(raw).startswith(beginning):
            return str(msgspec.json.decode(raw))
    return None


def audit_admitted(request: ApiRequest, caller: Caller, resource_id: str) -> None:
    """Prepare the event of a request that the guard has admitted, if it is one to record."""
    path_template, method = request.scope["path_template"], request.method
    if is_audited(path_template, method):
        event = _event_of(request, caller, resource_id)
        kind = resource_of(path_template).kind
        request.scope["state"][AUDITED] = AuditedRequest(event, kind)


def count_refusal(request: ApiRequest) -> None:
    """Count a request that was refused to a caller with a good token."""
    caller = request.scope.get("state", {}).get("caller")
    if caller is None:
        return
    resource = resource_of(request.scope["path_template"])
    resource_id = resource.identify(request.scope["path_params"], caller)
    event = msgspec.structs.replace(_event_of(request, caller, resource_id), outcome="refused")
    state_of(request).refusals.add(event)


def _event_of(request: ApiRequest, caller: Caller, resource_id: str) -> AuditEvent:
    return AuditEvent(
        action=_operation(request.route_handler.handler_name),
        organization_id=caller.organization_id,
        principal_id=caller.principal_id,
        resource_id=resource_id,
        address=client_address(request.scope, state_of(request).trusted_proxies),
        request_id=request_id_of(request),
    )


@functools.cache
def _operation(handler_name: str) -> str:
    """Return the operation of the API document that a handler serves."""
    first, *others = handler_name.split("_")
    return first + "".join(other.capitalize() for other in others)


def provide_audited(request: ApiRequest) -> AuditedRequest:
    """Return the request's event, for a handler that records it in a transaction of its own."""
    return cast("AuditedRequest", request.scope["state"][AUDITED])


async def settle_before_release(scope: Scope) -> None:
    """Record and commit what a handler has done when it gives its connection back before it answers."""
    audited = scope.get("state", {}).get(AUDITED)
    if audited is not None:
        await audited.settle()


def audit_middleware(app: ASGIApp) -> ASGIApp:
    """Record a request before its answer is sent; what is answered otherwise than with 2xx is undone."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        start: HTTPResponseStartEvent | None = None

        async def record_and_send(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and message["status"] == Forbidden.status:
                count_refusal(ApiRequest(scope))
            audited: AuditedRequest | None = scope.get("state", {}).get(AUDITED)
            if audited is None or audited.connection is None:
                await send(message)
            elif message["type"] == "http.response.start" and 200 <= message["status"] < 300:
                start = message
            elif message["type"] == "http.response.start":
                await audited.undo()
                await send(message)
            else:
                for one in await _settled(audited, start, message):
                    await send(one)
                start = None

        try:
            await app(scope, receive, record_and_send)
        finally:
            audited = scope.get("state", {}).get(AUDITED)
            if audited is not None:
                await audited.undo()

    return middleware


async def _settled(
    audited: AuditedRequest, start: HTTPResponseStartEvent | None, message: Message
) -> tuple[Message, ...]:
    """Record and commit; return the answer to send, 503 when that could not be done."""
    assert start is not None, "an answer begins before its body"
    try:
        await audited.settle(message.get("body", b""))  # type: ignore[arg-type]
    except DATABASE_BUSY as error:
        await audited.undo()
        logger.warning("a request was undone: its audit could not be written: %r", error)
        body = msgspec.json.encode({"message": DATABASE_AWAY})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", str(Unavailable.retry_after_seconds).encode()),
        ]
        start["status"], start["headers"] = Unavailable.status, headers
        return start, {"type": "http.response.body", "body": body, "more_body": False}
    return start, message
