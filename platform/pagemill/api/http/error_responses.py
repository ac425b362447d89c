"""Responses to errors: JSON like ``{"message": ...}``, without anything internal."""

from __future__ import annotations

import logging
from typing import Any

import asyncpg
from litestar import Response
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.types import ExceptionHandlersMap

from db.pool import CONNECTION_ERRORS
from pagemill.api.http.request_ids import request_id_of
from pagemill.api.http.requests import ApiRequest
from pagemill.errors import (
    PagemillError,
    ProtocolRefused,
    RequestTimedOut,
    TooManyRequests,
    Unavailable,
)

logger = logging.getLogger("pagemill.api")

INTERNAL = "Internal Server Error"
DATABASE_BUSY: tuple[type[BaseException], ...] = (
    *CONNECTION_ERRORS,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
)
"""Errors after which nothing was written and the request may be repeated: Postgres is away, shuts down during
a statement, has ended the connection just before one (asyncpg then cannot send), or there was a deadlock."""
UNSTORABLE = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)
"""Errors when a text contains U+0000, which Postgres does not store."""

DATABASE_AWAY = "The database is not available"


def on_error(request: ApiRequest, error: Exception) -> Response[Any]:
    """Return the response to an exception of a handler."""
    if isinstance(error, PagemillError):
        return _on_pagemill_error(request, error)
    if isinstance(error, DATABASE_BUSY):
        logger.warning("database away: %r", error, extra={"request_id": request_id_of(request)})
        return _on_pagemill_error(request, Unavailable(DATABASE_AWAY))
    if isinstance(error, UNSTORABLE):
        return _respond(400, "text must not contain the character U+0000")
    if isinstance(error, ValidationException):
        return _respond(400, validation_message(error))
    if isinstance(error, NotFoundException):
        return _respond(404, "Not Found")
    if isinstance(error, MethodNotAllowedException):
        return _respond(405, "Method Not Allowed", headers=error.headers)
    if isinstance(error, HTTPException) and error.status_code < 500:
        return _respond(error.status_code, error.detail)
    return _on_unexpected(request, error)


def validation_message(error: ClientException) -> str:
    """Return one line that names each wrong parameter and its problem."""
    causes = error.extra if isinstance(error.extra, list) else []
    texts = []
    for cause in causes:
        if isinstance(cause, dict) and "message" in cause:
            texts.append(
                f"{_camel(cause['key'])}: {cause['message']}" if "key" in cause else cause["message"]
            )
    return "; ".join(texts) or error.detail


def _camel(name: str) -> str:
    """Return the name of a handler's parameter as the API spells it."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _on_pagemill_error(request: ApiRequest, error: PagemillError) -> Response[Any]:
    if error.status >= 500 and not isinstance(error, Unavailable):
        return _on_unexpected(request, error)
    if isinstance(error, ProtocolRefused):
        return _refuse_by_protocol(error)
    headers = {}
    if isinstance(error, Unavailable | TooManyRequests):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, RequestTimedOut):
        headers["Connection"] = "close"
    if isinstance(error, Unavailable):
        logger.warning(
            "unavailable: %s (%s)", error.message, error.detail, extra={"request_id": request_id_of(request)}
        )
        return _respond(error.status, error.message, headers=headers)
    detail = error.detail if error.status == 429 else None
    return _respond(error.status, error.message, detail, headers=headers)


def _refuse_by_protocol(error: ProtocolRefused) -> Response[Any]:
    """Return an error in the form of RFC 6749, 5.2, which also has the ``message`` that all errors have."""
    content = {"error": error.message, "message": error.message}
    if error.detail:
        content["error_description"] = error.detail
    return Response(content, status_code=error.status)


def _on_unexpected(request: ApiRequest, error: Exception) -> Response[Any]:
    request_id = request_id_of(request)
    logger.error("unexpected error", exc_info=error, extra={"request_id": request_id})
    return Response({"message": INTERNAL, "requestId": request_id}, status_code=500)


def _respond(
    status: int, message: str, detail: str | None = None, *, headers: dict[str, str] | None = None
) -> Response[Any]:
    content = {"message": message} if detail is None else {"message": message, "detail": detail}
    return Response(content, status_code=status, headers=headers or {})


EXCEPTION_HANDLERS: ExceptionHandlersMap = {Exception: on_error, HTTPException: on_error, 500: on_error}
