"""Content of a PDF's page, and the parts of it that a person sees. Child's side."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pypdfium2.raw as pdfium

from pagemill.extraction.reading.pdf_layers import silence_hidden_layers
from pagemill.extraction.reading.pdf_objects import PageObjects, invisible, page_objects, set_active
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

    ``texts``: those with text that take part in its text layer. ``has_background``: an image covers most of
    it. ``is_overlay``: its text is not seen, but stands for that of the image, as the text does that a
    recogniser has put beneath a scan.
    """

    page: Any
    objects: PageObjects
    texts: list[int]
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
        found = pictures_of(self.page, self.texts, boxes, quality, shared)
        for (x0, y0, x1, y1), pixels in found:
            place = turn_word(Word("", x0 / width, y0 / height, x1 / width, y1 / height), rotation)
            upright = np.rot90(pixels, -rotation // QUARTER)
            written.append(shared.write(upright, (place.x0, place.y0, place.x1, place.y1)))
        return written


def look_at(page: Any) -> PageContent:
    """Return the objects of a page, after leaving out text that nobody sees."""
    objects = page_objects(page)
    places = objects.positions(pdfium.FPDF_PAGEOBJ_TEXT)
    hidden = silence_hidden_layers(page, objects, places)
    items = list(map(objects.items.__getitem__, places))
    unpainted = set(invisible(items))
    images = objects.positions(pdfium.FPDF_PAGEOBJ_IMAGE)
    background = next((at for at in images if covers(page, objects.at(at), BACKGROUND_COVERAGE)), None)
    is_overlay = False
    if background is None:
        # Beneath a scan, text without paint is the layer of words that a recogniser found.
        set_active(unpainted, active=False)
        hidden |= unpainted
    else:
        unseen = sum(at < background or item in unpainted for at, item in zip(places, items, strict=True))
        is_overlay = 2 * unseen > len(places)
    texts = [item for item in items if item not in hidden] if hidden else items
    return PageContent(page, objects, texts, background is not None, is_overlay)
