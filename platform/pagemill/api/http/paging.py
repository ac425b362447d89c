"""Keyset paging: a token names the last row of a page, so pages survive inserts and deletes between them."""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeVar

import msgspec
from litestar.params import Dependency, Parameter

from pagemill.errors import BadRequest
from pagemill.permissions import EVERYTHING, Action, PermissionSet


class ListedRow(Protocol):
    """A row of a list: it has an id, and the time that the list is sorted by."""

    @property
    def id(self) -> str:
        """The id of the resource."""


PagedRow = TypeVar("PagedRow", bound=ListedRow)

DEFAULT_RESULTS = 100
MAXIMUM_RESULTS = 1000
MAX_TOKEN_LENGTH = 512


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The page that a caller asks for: the one after the row with this time and id.

    Both are None for the first page. Some lists are sorted by a time that can be null: then it can be None
    although there is an id.
    """

    results: int
    after_time: datetime.datetime | None = None
    after_id: str | None = None
    permissions: PermissionSet = EVERYTHING
    """Of the caller: rows that it may not read are left out, so a page can be shorter, and even empty."""

    @property
    def limit(self) -> int:
        """Number of rows to fetch: one more than are shown, which tells whether there is another page."""
        return self.results + 1


def provide_page(
    max_results: Annotated[str | None, Parameter(query="maxResults")] = None,
    next_token: Annotated[str | None, Parameter(query="nextToken")] = None,
    permissions: Annotated[PermissionSet, Dependency(skip_validation=True)] = EVERYTHING,
) -> PageRequest:
    """Return the page that the query asks for. Raises BadRequest."""
    after_time, after_id = _after(next_token)
    return PageRequest(_results(max_results), after_time, after_id, permissions)


def cut(
    rows: Sequence[PagedRow], page: PageRequest, *, by: str = "created_time", action: Action | None = "read"
) -> tuple[Sequence[PagedRow], str | None]:
    """Return the rows to show, and the token of the next page (None on the last one).

    Rows are sorted by the column ``by`` and their id. Statements whose pages end early, because their rows
    are large, give ``rows_in_page``. Rows on which the caller may not do ``action`` are left out; None is for
    rows that are parts of one resource.
    """
    shown = rows[: page.results]
    found = getattr(rows[0], "rows_in_page", len(rows)) if rows else 0
    token = None
    if found > len(shown):
        token = token_after(getattr(shown[-1], by), shown[-1].id)
    return (shown if action is None else permitted(shown, page.permissions, action)), token


def permitted(rows: Sequence[PagedRow], permissions: PermissionSet, action: Action) -> Sequence[PagedRow]:
    """Return the rows, all of one kind, on which an action is allowed."""
    if not rows or permissions is EVERYTHING or permissions.allows_all(kind_of(rows[0].id), action):
        return rows
    return [row for row in rows if permissions.allows(row.id, action)]


def kind_of(identifier: str) -> str:
    """Return the kind of a resource, from its id."""
    return identifier.split(":", 2)[1]


def token_after(time: datetime.datetime | None, identifier: str) -> str:
    """Return the token of the page after a row. ``time`` can be None where it is not the created time."""
    return base64.urlsafe_b64encode(msgspec.json.encode([time, identifier])).decode().rstrip("=")


def _results(text: str | None) -> int:
    if text is None:
        return DEFAULT_RESULTS
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise BadRequest("maxResults: must be a positive integer")
    return min(int(text), MAXIMUM_RESULTS)


def _after(token: str | None) -> tuple[datetime.datetime | None, str | None]:
    if not token:
        return None, None
    if len(token) > MAX_TOKEN_LENGTH:
        raise BadRequest("nextToken: is not valid")
    try:
        decoded = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        time, identifier = msgspec.json.decode(decoded, type=tuple[datetime.datetime | None, str])
        if time is not None and time.tzinfo is not None:
            # Beside the first and last days there are times that no other zone can write.
            time = time.astimezone(datetime.UTC)
    except (binascii.Error, ValueError, OverflowError, msgspec.MsgspecError):
        raise BadRequest("nextToken: is not valid") from None
    if (time is not None and time.tzinfo is None) or "\0" in identifier:
        raise BadRequest("nextToken: is not valid")
    return time, identifier
