"""Pages of PDFs, opened for rendering."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pypdfium2
from PIL import Image

from pagemill.errors import DocumentUnreadable


@contextlib.contextmanager
def open_page(document: pypdfium2.PdfDocument, index: int) -> Iterator[pypdfium2.PdfPage]:
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


def render_page(page: pypdfium2.PdfPage, scale: float) -> Image.Image:
    """Return the page as an RGB image, ``scale`` pixels to the point."""
    bitmap = page.render(scale=scale)
    try:
        image: Image.Image = bitmap.to_pil()
        return image.convert("RGB")
    finally:
        bitmap.close()
