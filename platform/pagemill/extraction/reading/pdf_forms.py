"""Kinds of forms in a PDF, and the module of pdfium that draws their fields. Child's side."""

from __future__ import annotations

from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.pdf_annotations import has_widgets

DYNAMIC_FORM = "The document is a dynamic (XFA) form: print it to PDF first"
XFA = (pdfium.FORMTYPE_XFA_FULL, pdfium.FORMTYPE_XFA_FOREGROUND)
# The notice that stands for a dynamic form is one page of one paragraph; Adobe's has about 600 characters.
LONGEST_NOTICE = 2000
PAGES_SEARCHED = 10


def prepare_forms(document: pypdfium2.PdfDocument) -> Any:
    """Return the handle for the fields of a document; None without a form. No script of it is run.

    Raises DocumentUnreadable for a form whose pages are made by a program that reads its template.
    """
    kind = document.get_formtype()
    if kind == pdfium.FORMTYPE_NONE:
        return None
    if kind in XFA and _is_placeholder(document, kind):
        raise DocumentUnreadable(DYNAMIC_FORM)
    document.init_forms()
    return document.formenv


def _is_placeholder(document: pypdfium2.PdfDocument, kind: int) -> bool:
    """Return whether the pages only say that the form cannot be shown: no field has a place on them."""
    for index in range(min(len(document), PAGES_SEARCHED)):
        page = document[index]
        try:
            if has_widgets(page):
                return False
        finally:
            page.close()
    return bool(kind == pdfium.FORMTYPE_XFA_FULL) or (len(document) == 1 and _is_short(document))


def _is_short(document: pypdfium2.PdfDocument) -> bool:
    page = document[0]
    text_page = page.get_textpage()
    try:
        return bool(text_page.count_chars() <= LONGEST_NOTICE)
    finally:
        text_page.close()
        page.close()
