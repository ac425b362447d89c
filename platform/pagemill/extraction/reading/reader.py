"""Reading of documents: parsed in child processes that are not trusted, recognised in this process."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from pagemill.errors import DocumentUnreadable, Unavailable
from pagemill.extraction.reading.picture_words import PictureWords
from pagemill.extraction.reading.process import NOT_AVAILABLE, ChildDocument
from pagemill.extraction.reading.read_messages import DocumentInfo, ParsedPage, Picture, ReadLimits
from pagemill.extraction.reading.recognised_page import WordRecognizer, recognised_page, scanned
from pagemill.extraction.reading.shared_pixels import Pixels, shared_memory
from pagemill.extraction.reading.text_layer_check import TextLayerCheck
from pagemill.extraction.types import Page, Reading, ReadOptions
from pagemill.sandbox.forked_child import ForkedChild, ForkServer
from pagemill.tracing.spans import span

if TYPE_CHECKING:
    from pagemill.extraction.recognition.upright import UprightDetector

ZYGOTE = "pagemill.extraction.reading.zygote"
FORK_ATTEMPTS = 2
"""A fork server that died since the document before is replaced; one that dies again is given up."""


class PageReader:
    """Reader of documents, each in a fresh child process, whose words are recognised in this process.

    Thread-safe: each thread reads a document of its own. Use it as a context manager, or close it.
    """

    def __init__(
        self,
        limits: ReadLimits | None = None,
        recognizer: WordRecognizer | None = None,
        *,
        strict: bool = False,
    ) -> None:
        """Make a reader; ``strict``: without all essential means to confine children it is not available."""
        self.limits = limits or ReadLimits()
        self._strict = strict
        self._recognizer = recognizer or _default_recognizer()
        self._pictures = PictureWords(self._recognizer)
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._starting = threading.Lock()
        self._open_documents = 0
        self._closed = False
        self._fork_server: ForkServer | None = None
        self._child_processor_seconds = 0.0

    def __enter__(self) -> PageReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def fork_server_process_id(self) -> int | None:
        """The process id of the fork server, the parent of all children; None before the first document."""
        server = self._fork_server
        return server.process_id if server is not None else None

    @property
    def child_processor_seconds(self) -> float:
        """The processor seconds that the children of all documents read so far have used."""
        return self._child_processor_seconds

    @property
    def closed(self) -> bool:
        """True once the reader takes no documents any more."""
        return self._closed

    def close(self) -> None:
        """End the fork server; documents that are being read are finished first."""
        with self._idle:
            self._closed = True
            self._idle.wait_for(lambda: self._open_documents == 0)
            server, self._fork_server = self._fork_server, None
        if server is not None:
            server.end()

    def inspect(self, content: bytes) -> DocumentInfo:
        """Return the type of a document and its number of pages. Raises DocumentUnreadable."""
        with self._opened(content) as (_, information):
            return information

    def read(self, content: bytes, page_indexes: Sequence[int], options: ReadOptions) -> Reading:
        """Return the words of some pages, in the order asked; indexes out of range are ignored.

        Raises DocumentUnreadable.
        """
        with self._opened(content) as (document, information):
            count = information.number_of_pages
            check = TextLayerCheck(self._recognizer)
            indexes = [index for index in page_indexes if 0 <= index < count]
            pages = [self._page(document, index, options, check) for index in indexes]
        return Reading(number_of_pages=count, pages=pages)

    def _page(self, document: ChildDocument, index: int, options: ReadOptions, check: TextLayerCheck) -> Page:
        with span("parse page"):
            parsed = document.parse_page(index, options)
        with span("recognise page") as recognising:
            page = self._recognised(document, index, options, check, parsed)
            recognising.set({"pagemill.page.source": page.source})
        document.check_time()
        return page

    def _recognised(
        self,
        document: ChildDocument,
        index: int,
        options: ReadOptions,
        check: TextLayerCheck,
        parsed: ParsedPage,
    ) -> Page:
        pixels_of: Callable[[Picture], Pixels] = document.pixels
        if check.contradicts(parsed, pixels_of):
            pixels = document.render_page(index, options)
            parsed, pixels_of = scanned(pixels, index, options), lambda _: pixels
        return recognised_page(
            parsed,
            pixels_of,
            options,
            self._recognizer,
            lambda pixels: self._upright_detector.upright(pixels),
            self.limits.words_per_page,
            self._pictures,
        )

    @functools.cached_property
    def _upright_detector(self) -> UprightDetector:
        # Children import this module and have no use for OpenCV.
        from pagemill.extraction.recognition.upright import UprightDetector

        return UprightDetector(self._recognizer.lines)

    @contextlib.contextmanager
    def _opened(self, content: bytes) -> Iterator[tuple[ChildDocument, DocumentInfo]]:
        limits = self.limits
        if not content:
            raise DocumentUnreadable("The document is empty")
        if len(content) > limits.content_bytes:
            raise DocumentUnreadable(f"The document is larger than {limits.content_bytes} bytes")
        with self._counted(), shared_memory(limits.shared_bytes) as descriptor:
            child = self._fork(descriptor)
            try:
                document = ChildDocument(child, descriptor, limits)
                yield document, document.open(content)
            finally:
                self._end(child)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise RuntimeError("the reader is closed")
            self._open_documents += 1
        try:
            yield
        finally:
            with self._idle:
                self._open_documents -= 1
                self._idle.notify_all()

    def _fork(self, descriptor: int) -> ForkedChild:
        for _ in range(FORK_ATTEMPTS):
            server = self._running_server()
            try:
                return server.fork([descriptor])
            except OSError as error:
                problem = error
        raise Unavailable(NOT_AVAILABLE, detail=str(problem)) from problem

    def _running_server(self) -> ForkServer:
        with self._starting:
            server = self._fork_server
            if server is None or not server.is_running():
                if server is not None:
                    server.end()
                try:
                    server = ForkServer(ZYGOTE, start_seconds=self.limits.start_seconds, strict=self._strict)
                except OSError as error:
                    self._fork_server = None
                    detail = f"the reader's child did not start: {error}"
                    raise Unavailable(NOT_AVAILABLE, detail=detail) from error
                self._fork_server = server
            return server

    def _end(self, child: ForkedChild) -> None:
        # Without its server the child has ended as well, and the document has failed or is read.
        with contextlib.suppress(OSError):
            ending = child.end()
            with self._lock:
                self._child_processor_seconds += ending.processor_seconds


def _default_recognizer() -> WordRecognizer:
    # Imported here: children import this module, and have no use for models.
    from pagemill.extraction.recognition.recognizer import Recognizer

    return Recognizer()
