"""PDFs with fewer bytes: scanned pages become JPEGs of a screen's resolution, all others stay as they are."""

from __future__ import annotations

import contextlib
import ctypes
import io
import time

import pypdfium2
import pypdfium2.raw as pdfium

from pagemill.documents.thumbnails.pdf_rendering import open_page, render_page
from pagemill.documents.thumbnails.render_messages import RENDER_SECONDS
from pagemill.extraction.reading.pdf_file import open_pdf

POINTS_PER_INCH = 72
DENSITY = 100
LONGEST_SIDE = 2000
JPEG_QUALITY = 50
SCAN_COVERAGE = 0.5
"""A page is a scan if one image covers a larger part of it."""
WORTHWHILE_SHARE = 0.8
"""A page is replaced if its JPEG has less than this share of its bytes."""
TIME_LIMIT = RENDER_SECONDS / 2


def make_light_pdf(content: bytes) -> bytes:
    """Return a PDF with fewer bytes, empty if that cannot be done in time. Raises DocumentUnreadable."""
    deadline = time.monotonic() + TIME_LIMIT
    replaced = 0
    with contextlib.closing(open_pdf(content)) as document:
        for index in range(len(document)):
            if time.monotonic() > deadline:
                return b""
            replaced += _replace_scan(document, index)
        if not replaced:
            return b""
        written = io.BytesIO()
        document.save(written)
    return written.getvalue() if written.tell() < len(content) else b""


def _replace_scan(document: pypdfium2.PdfDocument, index: int) -> bool:
    with open_page(document, index) as page:
        stored = _scanned_bytes(page)
        if stored is None:
            return False
        width, height = page.get_size()
        image = render_page(page, min(DENSITY / POINTS_PER_INCH, LONGEST_SIDE / max(width, height)))
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=JPEG_QUALITY)
    if jpeg.tell() > WORTHWHILE_SHARE * stored:
        return False
    del document[index]
    new = document.new_page(width, height, index)
    try:
        picture = pypdfium2.PdfImage.new(document)
        picture.load_jpeg(jpeg, inline=True)
        picture.set_matrix(pypdfium2.PdfMatrix().scale(width, height))
        new.insert_obj(picture)
        new.gen_content()
    finally:
        new.close()
    return True


def _scanned_bytes(page: pypdfium2.PdfPage) -> int | None:
    """Return how many bytes the images of a scanned page take, None if the page is not a scan."""
    left, bottom, right, top = page.get_bbox()
    area = abs((right - left) * (top - bottom))
    stored, is_scan = 0, False
    for image in page.get_objects(filter=(pdfium.FPDF_PAGEOBJ_IMAGE,), max_depth=2):
        x0, y0, x1, y1 = image.get_bounds()
        is_scan = is_scan or abs((x1 - x0) * (y1 - y0)) > SCAN_COVERAGE * area
        stored += pdfium.FPDFImageObj_GetImageDataRaw(image, ctypes.c_void_p(), 0)
    return stored if is_scan else None
