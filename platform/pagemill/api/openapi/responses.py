"""Answers of an operation: the result, and each way in which it can fail."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET

from pagemill.api.openapi.examples import Example
from pagemill.api.openapi.schema_references import reference_to
from pagemill.api.openapi.texts import read_texts
from pagemill.content_types import CONTENT_TYPES

Json: TypeAlias = dict[str, Any]

BINARY: Json = {"type": "string", "format": "binary"}
ERROR: Json = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("message", "detail", "requestId", "predictionId")},
    "required": ["message"],
}
REPEATABLE = ("429", "503")
RETRY_AFTER: Json = {
    "description": "Seconds to wait before the request is repeated.",
    "schema": {"type": "string", "pattern": "^[0-9]+$"},
    "example": "5",
}


def responses_of(
    operation_id: str, method: str, handler: HTTPRouteHandler, answer: Json | None, example: Example
) -> Json:
    """Return the responses by status; ``answer`` is the schema of a JSON result, or None."""
    status = str(handler.status_code)
    responses: Json = {status: {"description": _result_text(operation_id)}}
    if handler.opt.get("binary_answer"):
        bytes_of_file = {kind: {"schema": BINARY} for kind in CONTENT_TYPES}
        responses[status]["content"] = bytes_of_file
        responses["206"] = {
            "description": "The part of the file that the header Range asks for.",
            "content": bytes_of_file,
        }
        responses["304"] = {"description": "The file still has the ETag of the header If-None-Match."}
    elif answer is not None:
        content = {"schema": answer}
        if example.answer is not UNSET:
            content["example"] = example.answer
        responses[status]["content"] = {"application/json": content}
    return responses | {str(code): _error(str(code)) for code in _error_statuses(method, handler)}


def _error(status: str) -> Json:
    texts = read_texts("responses")
    example = {"message": texts["messages"][status]}
    response: Json = {
        "description": texts["errors"][status],
        "content": {"application/json": {"schema": reference_to("Error"), "example": example}},
    }
    if status in REPEATABLE:
        response["headers"] = {"Retry-After": RETRY_AFTER}
    return response


def _error_statuses(method: str, handler: HTTPRouteHandler) -> list[int]:
    statuses = {400, 403, 404, 429, 500, 503}
    if method in ("post", "patch", "put"):
        statuses |= {413, 415}
    if handler.opt.get("public"):
        statuses -= {403, 404, 415}
    if handler.opt.get("binary_body"):
        statuses -= {413, 415}
    if handler.opt.get("binary_answer"):
        statuses.add(416)
    return sorted(statuses)


def _result_text(operation_id: str) -> str:
    """Return the description of a successful answer: by operation id, or by its verb and noun."""
    texts = read_texts("responses")
    if operation_id in texts["results"]:
        return str(texts["results"][operation_id])
    verb, *nouns = (word.lower() for word in re.findall("[A-Z]?[a-z]+", operation_id))
    return str(texts["verbs"][verb]).format(" ".join(nouns))
