"""PDFs and their pages, opened for rendering."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image

from pagemill.errors import DocumentUnreadable


@contextlib.contextmanager
def open_pdf(content: bytes) -> Iterator[Any]:
    """Open a PDF for the duration of a block. Raises DocumentUnreadable."""
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise DocumentUnreadable("The PDF is encrypted") from None
        raise DocumentUnreadable("The document is damaged: it is not a valid PDF") from None
    try:
        yield document
    finally:
        document.close()


@contextlib.contextmanager
def open_page(document: Any, index: int) -> Iterator[Any]:
    """Open a page that has a size for the duration of a block. Raises DocumentUnreadable."""
    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        raise DocumentUnreadable(f"The document is damaged: page {index + 1} cannot be opened") from None
    try:
        width, height = page.get_size()
        if not (width > 0 and height > 0):
            raise DocumentUnreadable(f"The document is damaged: page {index + 1} has no size")
        yield page
    finally:
        page.close()


def render_page(page: Any, scale: float) -> Image.Image:
    """Return the page as an RGB image, ``scale`` pixels to the point."""
    bitmap = page.render(scale=scale)
    try:
        image: Image.Image = bitmap.to_pil()
        return image.convert("RGB")
    finally:
        bitmap.close()
