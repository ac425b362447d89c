"""A document that is open in a child: its messages, their bounds, and the end of the child.

Nothing that the child sends is trusted: it is bounded and checked before it is used.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from pagemill.errors import DocumentUnreadable, Unavailable
from pagemill.extraction.reading.read_messages import (
    DocumentInfo,
    Open,
    ParsedPage,
    ParsePage,
    Picture,
    ReadFailure,
    ReadLimits,
    RenderedPage,
    RenderPage,
    Request,
    decode_reply,
    send,
)
from pagemill.extraction.reading.reply_checks import check_information, check_page, check_pictures
from pagemill.extraction.reading.shared_pixels import Pixels, copy_pixels
from pagemill.extraction.types import ReadOptions
from pagemill.sandbox.forked_child import ForkedChild, in_words
from pagemill.sandbox.framing import receive_message

REPLY_BYTES = 8 * 1024 * 1024
MOST_MESSAGE = 200
"""The longest text of a failure that is passed on."""
NOT_AVAILABLE = "The document reader is not available"
CRASHED = "The document is damaged, or needs more memory to read than is allowed"
"""The parsers end their process for both, mostly without a word."""
INVALID_REPLY = "The document is damaged: its reader sent an invalid reply"

Expected = TypeVar("Expected", DocumentInfo, ParsedPage, RenderedPage)


@contextlib.contextmanager
def _checked() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise DocumentUnreadable(INVALID_REPLY, detail=str(error)) from None


class ChildDocument:
    """A document and its child. Its methods raise DocumentUnreadable, and Unavailable."""

    def __init__(self, child: ForkedChild, descriptor: int, limits: ReadLimits) -> None:
        self._child, self._descriptor, self._limits = child, descriptor, limits
        self._document_deadline = time.monotonic() + limits.document_seconds
        self._page_deadline = time.monotonic() + limits.page_seconds

    def open(self, content: bytes) -> DocumentInfo:
        """Send the document, and return its type and number of pages."""
        information = self._ask(Open(content, self._limits), DocumentInfo)
        with _checked():
            check_information(information, self._limits)
        return information

    def parse_page(self, index: int, options: ReadOptions) -> ParsedPage:
        """Return what a page holds. The time of the page begins here."""
        self._page_deadline = time.monotonic() + self._limits.page_seconds
        parsed = self._ask(ParsePage(index, options), ParsedPage)
        with _checked():
            check_page(parsed, index, self._limits)
        return parsed

    def render_page(self, index: int, options: ReadOptions) -> Pixels:
        """Return a page as a person sees it, turned by ``options.rotation``."""
        picture = self._ask(RenderPage(index, options), RenderedPage).picture
        with _checked():
            check_pictures([picture], self._limits)
        return self.pixels(picture)

    def pixels(self, picture: Picture) -> Pixels:
        """Return a copy of the pixels of a picture of the page that was parsed last."""
        with _checked():
            return copy_pixels(self._descriptor, picture)

    def check_time(self) -> None:
        """Raise DocumentUnreadable once the page or the document has taken too long."""
        if self._seconds_left() <= 0:
            raise self._took_too_long()

    def _ask(self, request: Request, expected: type[Expected]) -> Expected:
        self.check_time()
        connection = self._child.connection
        deadline = time.monotonic() + self._seconds_left()
        try:
            connection.settimeout(max(self._seconds_left(), 0.001))
            send(connection, request)
            payload = receive_message(connection, maximum=REPLY_BYTES, deadline=deadline)
            reply = decode_reply(payload)
        except TimeoutError:
            raise self._took_too_long() from None
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            raise self._failure_of(error) from error
        if isinstance(reply, ReadFailure):
            detail = reply.detail[:MOST_MESSAGE] if reply.detail else None
            raise DocumentUnreadable(reply.message[:MOST_MESSAGE], detail=detail)
        if not isinstance(reply, expected):
            raise DocumentUnreadable(INVALID_REPLY)
        return reply

    def _seconds_left(self) -> float:
        return min(self._page_deadline, self._document_deadline) - time.monotonic()

    def _took_too_long(self) -> DocumentUnreadable:
        if time.monotonic() >= self._document_deadline:
            seconds = self._limits.document_seconds
            return DocumentUnreadable(f"The document took longer than {seconds:g} seconds to read")
        return DocumentUnreadable(f"A page took longer than {self._limits.page_seconds:g} seconds to read")

    def _failure_of(self, error: Exception) -> DocumentUnreadable | Unavailable:
        try:
            ending = self._child.end()
        except OSError as gone:
            return Unavailable(NOT_AVAILABLE, detail=str(gone))
        if isinstance(error, EOFError | ConnectionError):
            return DocumentUnreadable(CRASHED, detail=f"its reader failed: {in_words(ending.status)}")
        return DocumentUnreadable(INVALID_REPLY, detail=type(error).__name__)
