"""What a page of a PDF is made of, and which parts of it a person sees. Child's side."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pypdfium2.raw as pdfium

from pagemill.extraction.reading.pdf_layers import silence_hidden_layers, silence_invisible_ink
from pagemill.extraction.reading.pdf_objects import PageObject, is_invisible, page_objects
from pagemill.extraction.reading.pdf_pictures import covers, picture_boxes, pictures_of
from pagemill.extraction.reading.read_messages import Picture
from pagemill.extraction.reading.shared_pixels import SharedPixels
from pagemill.extraction.reading.word_geometry import turn_word
from pagemill.extraction.types import ImageQuality, Word
from pagemill.rotation import Rotation

BACKGROUND_COVERAGE = 0.5
QUARTER = 90


class PageContent(NamedTuple):
    """The objects of a page.

    ``has_background``: an image covers most of it. ``is_overlay``: its text is not seen, but stands for
    that of the image, as the text does that a recogniser has put beneath a scan.
    """

    page: Any
    objects: list[PageObject]
    has_background: bool
    is_overlay: bool

    def write_pictures(
        self, quality: ImageQuality, rotation: Rotation, shared: SharedPixels
    ) -> list[Picture]:
        """Write the pictures of a page whose text layer is used, with their boxes on the turned page."""
        if self.is_overlay:
            return []
        boxes = picture_boxes(self.page, self.objects)
        width, height = self.page.get_size()
        written = []
        found = pictures_of(self.page, self.objects, boxes, quality, shared.pixels_left)
        for (x0, y0, x1, y1), pixels in found:
            place = turn_word(Word("", x0 / width, y0 / height, x1 / width, y1 / height), rotation)
            upright = np.rot90(pixels, -rotation // QUARTER)
            written.append(shared.write(upright, (place.x0, place.y0, place.x1, place.y1)))
        return written


def look_at(page: Any) -> PageContent:
    """Return the objects of a page, after leaving out text that nobody sees."""
    objects = page_objects(page)
    silence_hidden_layers(page, objects)
    background = next((at for at, one in enumerate(objects) if covers(page, one, BACKGROUND_COVERAGE)), None)
    if background is None:
        silence_invisible_ink(objects)
        return PageContent(page, objects, has_background=False, is_overlay=False)
    texts = [(at, one) for at, one in enumerate(objects) if one.kind == pdfium.FPDF_PAGEOBJ_TEXT]
    unseen = sum(at < background or is_invisible(one.item) for at, one in texts)
    return PageContent(page, objects, has_background=True, is_overlay=2 * unseen > len(texts))
