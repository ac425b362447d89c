"""Parent of the reading child: gives it documents, and turns its death into an error."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType

import msgspec

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.process import DYING_SECONDS, ReaderProcess
from pagemill.extraction.reading.read_messages import (
    AllPagesRead,
    DocumentInfo,
    InspectRequest,
    PageRead,
    ReadFailure,
    ReadLimits,
    ReadRequest,
    Reply,
    Request,
)
from pagemill.extraction.types import Page, Reading, ReadOptions


class PageReader:
    """Reader of documents in a child process, started when needed and replaced when it fails.

    Thread-safe: one document is read at a time. Use it as a context manager, or close it.
    """

    def __init__(self, limits: ReadLimits | None = None) -> None:
        self.limits = limits or ReadLimits()
        self._lock = threading.Lock()
        self._child: ReaderProcess | None = None
        self._closed = False

    def __enter__(self) -> PageReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def child_process_id(self) -> int | None:
        """Return the process id of the child, None without one."""
        child = self._child
        return child.process_id if child is not None else None

    def close(self) -> None:
        """End the child; a document that is being read is finished first."""
        with self._lock:
            self._closed = True
            self._end_child()

    def inspect(self, content: bytes) -> DocumentInfo:
        """Return the type of a document and its number of pages. Raises DocumentUnreadable."""
        self._check_size(content)
        with self._lock, _Conversation(self._ready_child(), self.limits) as conversation:
            return conversation.begin(InspectRequest(content))

    def read(self, content: bytes, page_indexes: Sequence[int], options: ReadOptions) -> Reading:
        """Return the words of some pages, in the order asked; indexes out of range are ignored.

        Raises DocumentUnreadable.
        """
        self._check_size(content)
        request = ReadRequest(content=content, page_indexes=list(page_indexes), options=options)
        with self._lock, _Conversation(self._ready_child(), self.limits) as conversation:
            information = conversation.begin(request)
            pages = conversation.pages()
        return Reading(number_of_pages=information.number_of_pages, pages=pages)

    def _check_size(self, content: bytes) -> None:
        if not content:
            raise DocumentUnreadable("The document is empty")
        if len(content) > self.limits.content_bytes:
            raise DocumentUnreadable(f"The document is larger than {self.limits.content_bytes} bytes")

    def _ready_child(self) -> ReaderProcess:
        if self._closed:
            raise RuntimeError("the reader is closed")
        child = self._child
        worn_out = child is not None and child.requests_sent >= self.limits.documents_per_child
        if child is None or worn_out or not child.running():
            self._end_child()
            self._child = child = ReaderProcess(self.limits)
        return child

    def _end_child(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class _Conversation:
    """One request and its replies. An error ends the child, because its state is unknown."""

    def __init__(self, child: ReaderProcess, limits: ReadLimits) -> None:
        self._child = child
        self._limits = limits
        self._document_deadline = time.monotonic() + limits.document_seconds
        self._page_deadline = time.monotonic() + limits.page_seconds

    def __enter__(self) -> _Conversation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, _DocumentRefused):
            self._child.end()

    def begin(self, request: Request) -> DocumentInfo:
        """Send the document and return its type and number of pages."""
        try:
            self._child.send(request, self._seconds_left())
        except OSError as error:
            raise self._error_of(error) from error
        reply = self._receive()
        if isinstance(reply, DocumentInfo):
            return reply
        raise DocumentUnreadable("The document is damaged: its reader sent an invalid reply")

    def pages(self) -> list[Page]:
        """Receive the pages that follow."""
        pages: list[Page] = []
        while isinstance(reply := self._receive(), PageRead):
            pages.append(reply.page)
            self._page_deadline = time.monotonic() + self._limits.page_seconds
        if isinstance(reply, AllPagesRead):
            return pages
        raise DocumentUnreadable("The document is damaged: its reader sent an invalid reply")

    def _receive(self) -> Reply:
        try:
            reply = self._child.receive(self._seconds_left())
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            raise self._error_of(error) from error
        if isinstance(reply, ReadFailure):
            if reply.fatal:
                raise DocumentUnreadable(reply.message)
            raise _DocumentRefused(reply.message)
        return reply

    def _seconds_left(self) -> float:
        return min(self._page_deadline, self._document_deadline) - time.monotonic()

    def _error_of(self, error: Exception) -> DocumentUnreadable:
        if not isinstance(error, TimeoutError):
            ending = self._child.end(DYING_SECONDS)
            return DocumentUnreadable(f"The document is damaged: its reader failed, {ending}")
        if time.monotonic() >= self._document_deadline:
            return DocumentUnreadable(
                f"The document took longer than {self._limits.document_seconds:g} seconds to read"
            )
        return DocumentUnreadable(f"A page took longer than {self._limits.page_seconds:g} seconds to read")


class _DocumentRefused(DocumentUnreadable):
    """The child refused the document in an orderly way and is ready for the next one."""
