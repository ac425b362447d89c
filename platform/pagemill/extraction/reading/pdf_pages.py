"""Pages of a PDF: the text layer where there is one, otherwise the page as a picture. Child's side."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.form_values import with_field_values
from pagemill.extraction.reading.pdf_annotations import (
    FieldValue,
    draw_fields,
    field_values,
    has_widgets,
    remove_unseen,
)
from pagemill.extraction.reading.pdf_file import open_pdf
from pagemill.extraction.reading.pdf_forms import prepare_forms
from pagemill.extraction.reading.pdf_page_content import PageContent, look_at
from pagemill.extraction.reading.pdf_rendering import render
from pagemill.extraction.reading.pdf_samples import DocumentSamples
from pagemill.extraction.reading.pdf_substitutes import SubstituteFaces
from pagemill.extraction.reading.pdf_text import TextLayer, text_layer
from pagemill.extraction.reading.read_messages import ParsedPage, ReadLimits
from pagemill.extraction.reading.shared_pixels import Pixels, SharedPixels
from pagemill.extraction.reading.textlayer import group_words, is_usable
from pagemill.extraction.reading.word_geometry import rotation_to_upright, turn_word
from pagemill.extraction.types import ReadOptions
from pagemill.rotation import Rotation

SPARSE_CHARACTERS = 200


class PdfDocument:
    """A PDF that is open. Encrypted ones are refused unless the empty password opens them."""

    content_type = "application/pdf"

    def __init__(self, content: bytes, limits: ReadLimits) -> None:
        self._limits = limits
        self._document = open_pdf(content)
        self.number_of_pages = len(self._document)
        if self.number_of_pages == 0:
            raise DocumentUnreadable("The document is damaged: it has no pages")
        self._form = prepare_forms(self._document)
        self._faces = SubstituteFaces()
        self._samples = DocumentSamples(self._faces)

    def __enter__(self) -> PdfDocument:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._samples.close()
        self._document.close()

    def parse_page(self, index: int, options: ReadOptions, shared: SharedPixels) -> ParsedPage:
        """Return the words of a page, or the page as a picture if it has no text layer."""
        with self._page(index) as (page, values):
            content = look_at(page)
            with text_layer(page) as layer:
                if _is_text(content, layer):
                    return self._text_page(content, layer, index, options, values, shared)
            picture = shared.write(self._rendered(page, options))
            return ParsedPage(index, _aspect(page, options.rotation), options.rotation, pictures=[picture])

    def render_page(self, index: int, options: ReadOptions) -> Pixels:
        """Return a page as a person sees it."""
        with self._page(index) as (page, _):
            return self._rendered(page, options)

    def _rendered(self, page: pypdfium2.PdfPage, options: ReadOptions) -> Pixels:
        self._faces.stretched = True
        return render(page, options, self._limits.page_pixels)

    @contextlib.contextmanager
    def _page(self, index: int) -> Iterator[tuple[pypdfium2.PdfPage, list[FieldValue]]]:
        self._faces.restore()
        try:
            page, values = self._open_page(index)
        except pypdfium2.PdfiumError:
            raise DocumentUnreadable(f"The document is damaged: page {index + 1} cannot be opened") from None
        try:
            width, height = page.get_size()
            if not (width > 0 and height > 0):
                raise DocumentUnreadable(f"The document is damaged: page {index + 1} has no size")
            yield page, values
        finally:
            if not self._samples.keeps(page):
                page.close()

    def _open_page(self, index: int) -> tuple[Any, list[FieldValue]]:
        page = self._document[index]
        if pdfium.FPDFPage_GetAnnotCount(page) == 0:
            return page, []
        remove_unseen(page)
        values: list[FieldValue] = []
        if self._form is not None and has_widgets(page):
            draw_fields(page, self._form)
            values = field_values(page, self._form)
        # Values filled into a form are annotations: only flattening makes them text of the page.
        flattened = pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY)
        if flattened != pdfium.FLATTEN_SUCCESS:
            return page, values
        page.close()
        return self._document[index], values

    def _text_page(
        self,
        content: PageContent,
        layer: TextLayer,
        index: int,
        options: ReadOptions,
        values: list[FieldValue],
        shared: SharedPixels,
    ) -> ParsedPage:
        page = content.page
        width, height = page.get_size()
        printed = group_words(layer.text, layer.boxes).up_to(self._limits.words_per_page)
        rotation = options.rotation
        if options.auto_rotate:
            rotation = rotation_to_upright(printed.directions())
        words = with_field_values(printed.words(width, height), values)
        if rotation:
            words = [turn_word(word, rotation) for word in words]
        on_page = [word for word in words if word.x1 > word.x0 and word.y1 > word.y0]
        doubts, samples = self._samples.of_page(content, layer, index, shared)
        return ParsedPage(
            index,
            _aspect(page, rotation),
            rotation,
            words=on_page,
            pictures=content.write_pictures(options.image_quality, rotation, shared),
            doubts=doubts,
            samples=samples,
        )


def _is_text(content: PageContent, layer: TextLayer) -> bool:
    """Return whether the words of the page are its text layer; an empty page needs no recognition."""
    if not content.objects.items:
        return True
    count = len("".join(layer.text.split()))
    # A few characters on an image of the page are a stamp, not its text.
    return is_usable(layer.text) and not (count < SPARSE_CHARACTERS and content.has_background)


def _aspect(page: Any, rotation: Rotation) -> float:
    width, height = page.get_size()
    return float(width / height if rotation in (0, 180) else height / width)
