"""Every error is answered with JSON: ``{"message": ...}`` and nothing of what is inside."""

from __future__ import annotations

import logging
from typing import Any

import asyncpg
from litestar import Request, Response
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.types import ExceptionHandlersMap

from db.pool import CONNECTION_ERRORS
from pagemill.api.http.correlation import request_id_of
from pagemill.errors import PagemillError, TooManyRequests, Unavailable

logger = logging.getLogger("pagemill.api")

INTERNAL = "Internal Server Error"
# Deadlocks, Postgres shutting down in the middle of a statement, and a connection that it ended just before
# one (asyncpg then finds itself in a state it cannot send from): nothing was written, it may be repeated.
DATABASE_BUSY = (
    *CONNECTION_ERRORS,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
)
# Postgres stores no U+0000 in text.
UNSTORABLE = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)

DATABASE_AWAY = "The database is not available"


def on_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """The answer to any exception."""
    if isinstance(error, PagemillError):
        return _on_own_error(request, error)
    if isinstance(error, DATABASE_BUSY):
        logger.warning("database away: %r", error, extra={"request_id": request_id_of(request)})
        return _on_own_error(request, Unavailable(DATABASE_AWAY))
    if isinstance(error, UNSTORABLE):
        return _answer(400, "text must not contain the character U+0000")
    if isinstance(error, ValidationException):
        return _answer(400, validation_message(error))
    if isinstance(error, NotFoundException):
        return _answer(404, "Not Found")
    if isinstance(error, MethodNotAllowedException):
        return _answer(405, "Method Not Allowed", headers=error.headers)
    if isinstance(error, HTTPException) and error.status_code < 500:
        return _answer(error.status_code, error.detail)
    return _on_unexpected(request, error)


def validation_message(error: ClientException) -> str:
    """What is wrong with which member, in one line."""
    causes = error.extra if isinstance(error.extra, list) else []
    texts = []
    for cause in causes:
        if isinstance(cause, dict) and "message" in cause:
            texts.append(
                f"{_camel(cause['key'])}: {cause['message']}" if "key" in cause else cause["message"]
            )
    return "; ".join(texts) or error.detail


def _camel(name: str) -> str:
    """A handler's parameter as the API writes it."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _on_own_error(request: Request[Any, Any, Any], error: PagemillError) -> Response[Any]:
    if error.status >= 500 and not isinstance(error, Unavailable):
        return _on_unexpected(request, error)
    headers = {}
    if isinstance(error, Unavailable | TooManyRequests):
        headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, Unavailable):
        logger.warning(
            "unavailable: %s (%s)", error.message, error.detail, extra={"request_id": request_id_of(request)}
        )
        return _answer(error.status, error.message, headers=headers)
    detail = error.detail if error.status == 429 else None
    return _answer(error.status, error.message, detail, headers=headers)


def _on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    request_id = request_id_of(request)
    logger.error("unexpected error", exc_info=error, extra={"request_id": request_id})
    return Response({"message": INTERNAL, "requestId": request_id}, status_code=500)


def _answer(
    status: int, message: str, detail: str | None = None, *, headers: dict[str, str] | None = None
) -> Response[Any]:
    content = {"message": message} if detail is None else {"message": message, "detail": detail}
    return Response(content, status_code=status, headers=headers or {})


EXCEPTION_HANDLERS: ExceptionHandlersMap = {Exception: on_error, HTTPException: on_error, 500: on_error}
