"""Keyset paging: a token names the last row of a page, so pages survive inserts and deletes between them."""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

import asyncpg
import msgspec
from litestar.params import Parameter

from db.statements import Row
from pagemill.api.http.schemas import member_of
from pagemill.errors import BadRequest

PagedRow = TypeVar("PagedRow", bound=Row | asyncpg.Record)

DEFAULT_RESULTS = 100
MAXIMUM_RESULTS = 1000
MAX_TOKEN_LENGTH = 512


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The page that a caller asks for.

    ``after`` is (createdTime, id) of the last row of the page before, or two Nones for the first page. Some
    lists are sorted by another time, which may be None although there is an id.
    """

    results: int
    after: tuple[datetime.datetime | None, str | None]

    @property
    def after_time(self) -> datetime.datetime | None:
        """The time of the last row of the page before."""
        return self.after[0]

    @property
    def after_id(self) -> str | None:
        """The id of the last row of the page before."""
        return self.after[1]

    @property
    def limit(self) -> int:
        """Number of rows to fetch: one more than are shown, which tells whether there is another page."""
        return self.results + 1


def provide_page(
    max_results: Annotated[str | None, Parameter(query="maxResults")] = None,
    next_token: Annotated[str | None, Parameter(query="nextToken")] = None,
) -> PageRequest:
    """Return the page that the query asks for. Raises BadRequest."""
    return PageRequest(results=_results(max_results), after=_after(next_token))


def cut(
    rows: Sequence[PagedRow], page: PageRequest, *, by: str = "created_time"
) -> tuple[Sequence[PagedRow], str | None]:
    """Return the rows to show, and the token of the next page (None on the last one).

    Rows are sorted by the column ``by`` and their id. Statements whose pages end early, because their rows
    are large, give ``rows_in_page``.
    """
    shown = rows[: page.results]
    found = len(rows)
    if rows and isinstance(rows[0], asyncpg.Record):
        found = rows[0].get("rows_in_page", found)
    elif rows:
        found = getattr(rows[0], "rows_in_page", found)
    if found <= len(shown):
        return shown, None
    return shown, token_after(member_of(shown[-1], by), member_of(shown[-1], "id"))


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
