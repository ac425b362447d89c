"""Annotations and form fields of a PDF as a viewer shows them, made part of the page's content."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pypdfium2.raw as pdfium

from pagemill.extraction.reading.pdf_paint import Box, shown_box

UNSEEN_FLAGS = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
# Bit 25 of the flags of a text field (ISO 32000-1, table 228): each character has its own cell.
COMB_FLAG = 1 << 24
PASSWORD_FLAG = pdfium.FPDF_FORMFLAG_TEXT_PASSWORD
MAX_ANNOTATIONS = 20_000
MAX_VALUE_BYTES = 65_536
TINY = 8


class FieldValue(msgspec.Struct, frozen=True):
    """The value of a text field, and its box in 0..1 of the page as shown.

    ``comb``: each character has a cell of its own. ``scrolls``: parts of it may be out of sight.
    """

    text: str
    box: Box
    comb: bool = False
    scrolls: bool = False


def has_widgets(page: Any) -> bool:
    """Return whether a form field has its place on the page."""
    count = min(pdfium.FPDFPage_GetAnnotCount(page), MAX_ANNOTATIONS)
    for index in range(count):
        with _annotation(page, index) as annotation:
            if _is_widget(annotation):
                return True
    return False


def remove_unseen(page: Any) -> None:
    """Take away annotations that their flags hide."""
    for index in reversed(range(min(pdfium.FPDFPage_GetAnnotCount(page), MAX_ANNOTATIONS))):
        with _annotation(page, index) as annotation:
            unseen = bool(pdfium.FPDFAnnot_GetFlags(annotation) & UNSEEN_FLAGS)
        if unseen:
            pdfium.FPDFPage_RemoveAnnot(page, index)


def draw_fields(page: Any, form: Any) -> None:
    """Give fields that no program has drawn the appearance that a viewer gives them."""
    bitmap = pdfium.FPDFBitmap_Create(TINY, TINY, 1)
    try:
        pdfium.FPDF_FFLDraw(form, bitmap, page, 0, 0, TINY, TINY, 0, pdfium.FPDF_ANNOT)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)


def field_values(page: Any, form: Any) -> list[FieldValue]:
    """Return the values of text fields; passwords have none."""
    values = []
    for index in range(min(pdfium.FPDFPage_GetAnnotCount(page), MAX_ANNOTATIONS)):
        with _annotation(page, index) as annotation:
            value = _value(page, annotation, form) if _is_widget(annotation) else None
        if value is not None:
            values.append(value)
    return values


def _value(page: Any, annotation: Any, form: Any) -> FieldValue | None:
    if pdfium.FPDFAnnot_GetFormFieldType(form, annotation) != pdfium.FPDF_FORMFIELD_TEXTFIELD:
        return None
    flags = pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation)
    size = pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, None, 0)
    if flags & PASSWORD_FLAG or not 2 < size <= MAX_VALUE_BYTES:
        return None
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, buffer, size)
    text = bytes(buffer)[: size - 2].decode("utf-16-le", errors="replace")
    x0, y0, x1, y1 = _rectangle(page, annotation)
    width, height = page.get_size()
    box = max(0.0, x0 / width), max(0.0, y0 / height), min(1.0, x1 / width), min(1.0, y1 / height)
    if box[0] >= box[2] or box[1] >= box[3]:
        return None
    scrolls = bool(flags & pdfium.FPDF_FORMFLAG_TEXT_MULTILINE)
    return FieldValue(text, box, bool(flags & COMB_FLAG), scrolls)


@contextmanager
def _annotation(page: Any, index: int) -> Iterator[Any]:
    annotation = pdfium.FPDFPage_GetAnnot(page, index)
    try:
        yield annotation
    finally:
        pdfium.FPDFPage_CloseAnnot(annotation)


def _is_widget(annotation: Any) -> bool:
    return bool(pdfium.FPDFAnnot_GetSubtype(annotation) == pdfium.FPDF_ANNOT_WIDGET)


def _rectangle(page: Any, annotation: Any) -> Box:
    box = pdfium.FS_RECTF()
    pdfium.FPDFAnnot_GetRect(annotation, box)
    return shown_box(page, ((box.left, box.top), (box.right, box.bottom)))
