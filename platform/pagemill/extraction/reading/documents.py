"""Which reader a document needs, by its first bytes."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.images import ImageDocument
from pagemill.extraction.reading.messages import ReadLimits
from pagemill.extraction.reading.ocr import Recognizer
from pagemill.extraction.reading.pdf import PdfDocument
from pagemill.extraction.types import Page, ReadOptions

PDF_HEADER_WINDOW = 1024
TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class Document(Protocol):
    """A document that has been opened in the child."""

    content_type: str
    number_of_pages: int

    def __enter__(self) -> Document: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def read_page(self, index: int, options: ReadOptions) -> Page:
        """The words of one page."""
        ...


def content_type_of(content: bytes) -> str:
    """The media type of a document. Raises DocumentUnreadable for one that is not supported."""
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(TIFF_MARKS):
        return "image/tiff"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if b"%PDF-" in content[:PDF_HEADER_WINDOW]:
        return "application/pdf"
    raise DocumentUnreadable("The document is not a PDF, JPEG, PNG, TIFF or WebP")


def open_document(content: bytes, limits: ReadLimits, recognizer: Recognizer) -> Document:
    """Open a document for reading."""
    content_type = content_type_of(content)
    if content_type == "application/pdf":
        return PdfDocument(content, limits, recognizer)
    return ImageDocument(content, content_type, limits, recognizer)
