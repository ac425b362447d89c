"""Checks of the query of every request."""

from __future__ import annotations

from pagemill.api.http.requests import ApiRequest
from pagemill.errors import BadRequest

PAGING = {"maxResults", "nextToken"}


def refuse_null_parameters(request: ApiRequest) -> None:
    """Refuse ``null`` as the value of a query parameter. Raises BadRequest naming the parameter.

    A query has no null, but Litestar would take it for a missing value where an enumeration is expected.
    """
    if not request.scope["query_string"]:
        return
    for name, value in request.query_params.multi_items():
        if value == "null" and name not in PAGING:
            raise BadRequest(f"{name}: must not be null")
