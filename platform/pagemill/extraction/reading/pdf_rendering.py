"""Pages of a PDF as pixels. Child's side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from pagemill.extraction.reading.resolution import size_within
from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.types import ImageQuality, ReadOptions

POINTS_PER_INCH = 72
DOTS_PER_INCH: dict[ImageQuality, int] = {"LOW": 150, "HIGH": 200}
WHITE = 0xFFFFFFFF
QUARTER = 90


def render(page: Any, options: ReadOptions, most_pixels: int) -> Pixels:
    """Return the page as a person sees it, turned by ``options.rotation``, in the quality of the options."""
    width, height = page.get_size()
    if options.rotation in (90, 270):
        width, height = height, width
    densest = DOTS_PER_INCH[options.image_quality] / POINTS_PER_INCH
    columns, rows = size_within(width, height, options.image_quality, most_pixels, largest_scale=densest)
    bitmap = pypdfium2.PdfBitmap.new_native(columns, rows, pdfium.FPDFBitmap_BGR, rev_byteorder=True)
    try:
        pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, columns, rows, WHITE)
        turns = options.rotation // QUARTER
        flags = pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER
        pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, columns, rows, turns, flags)
        return np.array(bitmap.to_numpy(), dtype=np.uint8)
    finally:
        bitmap.close()
