"""Choice of the parser of a document, by its first bytes."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from pagemill.content_types import SNIFFED_BYTES, SUPPORTED, sniff
from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.image_pages import ImageDocument
from pagemill.extraction.reading.pdf_pages import PdfDocument
from pagemill.extraction.reading.read_messages import ParsedPage, ReadLimits
from pagemill.extraction.reading.shared_pixels import Pixels, SharedPixels
from pagemill.extraction.types import ReadOptions


class OpenDocument(Protocol):
    """A document that has been opened in the child. Its methods raise DocumentUnreadable."""

    content_type: str
    number_of_pages: int

    def __enter__(self) -> OpenDocument: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def parse_page(self, index: int, options: ReadOptions, shared: SharedPixels) -> ParsedPage:
        """Return what a page holds; the pixels of its pictures are written to the shared memory."""
        ...

    def render_page(self, index: int, options: ReadOptions) -> Pixels:
        """Return a page as a person sees it, turned by ``options.rotation``."""
        ...


def content_type_of(content: bytes) -> str:
    """Return the media type of a document. Raises DocumentUnreadable for one that is not supported."""
    content_type = sniff(content[:SNIFFED_BYTES])
    if content_type is None:
        raise DocumentUnreadable(f"The document is not a {SUPPORTED}")
    return content_type


def open_document(content: bytes, limits: ReadLimits) -> OpenDocument:
    """Open a document for reading."""
    content_type = content_type_of(content)
    if content_type == "application/pdf":
        return PdfDocument(content, limits)
    return ImageDocument(content, content_type, limits)
