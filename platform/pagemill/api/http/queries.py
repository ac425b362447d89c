"""What holds for the query of every request."""

from __future__ import annotations

from typing import Any

from litestar import Request

from pagemill.errors import BadRequest

PAGING = {"maxResults", "nextToken"}


def refuse_null(request: Request[Any, Any, Any]) -> None:
    """A query has no null: where a word of a list is expected, Litestar would take ``null`` for nothing.

    Raises BadRequest.
    """
    if not request.scope["query_string"]:
        return
    for name, value in request.query_params.multi_items():
        if value == "null" and name not in PAGING:
            raise BadRequest(f"{name}: must not be null")
