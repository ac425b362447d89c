"""Samples of a document's text layers: of what is in doubt and was not sampled before. Child's side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pagemill.extraction.reading.pdf_fonts import FontChecks
from pagemill.extraction.reading.pdf_page_content import PageContent
from pagemill.extraction.reading.pdf_substitutes import SubstituteFaces
from pagemill.extraction.reading.pdf_text import TextLayer
from pagemill.extraction.reading.read_messages import Sample
from pagemill.extraction.reading.shared_pixels import SharedPixels
from pagemill.extraction.reading.text_samples import WordSample, overlay_samples, samples_of

FONTS_PER_PAGE = 3
MOST_PAGES_KEPT = 16


class DocumentSamples:
    """Samples taken so far, and the open pages that hold the fonts which are known."""

    def __init__(self, faces: SubstituteFaces) -> None:
        self._fonts = FontChecks(faces)
        self._sampled: set[int] = set()
        self._kept: list[Any] = []

    def close(self) -> None:
        """Close the pages that were kept open."""
        for page in self._kept:
            page.close()
        self._kept.clear()

    def keeps(self, page: Any) -> bool:
        """Return whether a page has to stay open after its use."""
        return any(kept is page for kept in self._kept)

    def of_page(
        self, content: PageContent, layer: TextLayer, index: int, shared: SharedPixels
    ) -> tuple[list[int], list[Sample]]:
        """Return what is in doubt on a page, by number, and the samples that tell more about it."""
        if content.is_overlay:
            # Numbers below zero are pages, the others are fonts.
            number = -1 - index
            found = overlay_samples(content.page, layer)
            return [number], list(_written(number, found, shared, is_sharp=False))
        fonts, new = self._fonts.doubtful_fonts(layer)
        if new and len(self._kept) < MOST_PAGES_KEPT:
            self._kept.append(content.page)
        elif not self.keeps(content.page):
            self._fonts.forget(new)
        samples: list[Sample] = []
        unsampled = [font for font in fonts if font.doubt.key not in self._sampled]
        for font in sorted(unsampled, key=lambda font: -len(font.runs))[:FONTS_PER_PAGE]:
            found = samples_of(content.page, font, layer)
            samples += _written(font.doubt.key, found, shared)
            if found:
                self._sampled.add(font.doubt.key)
        return [font.doubt.key for font in fonts], samples


def _written(
    number: int, samples: list[WordSample], shared: SharedPixels, *, is_sharp: bool = True
) -> Iterator[Sample]:
    for text, pixels in samples:
        yield Sample(number, text, shared.write(pixels), is_sharp)
