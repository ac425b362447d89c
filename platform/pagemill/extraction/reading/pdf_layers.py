"""Text of a PDF that no viewer shows: on layers that are off, or drawn with invisible ink."""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pypdfium2.raw as pdfium

from pagemill.extraction.reading.pdf_paint import PageObject, active_only, address, paints

LAYER_MARK = "OC"
MAX_GROUPS = 1000
NAME_BYTES = 64

GroupKey = tuple[int, ...]


def silence_hidden_layers(page: Any, objects: Sequence[PageObject]) -> None:
    """Leave out text that the renderer, which knows the layers, does not paint.

    Each stretch of marked content and each form is tried by itself; pdfium tells which layers a document has
    only by what it paints.
    """
    groups = list(_layered_text(objects).values())[:MAX_GROUPS]
    hidden: list[PageObject] = []
    if groups:
        with active_only(objects, ()):
            hidden = [one for group in groups if _is_hidden(page, group) for one in group]
    for one in hidden:
        pdfium.FPDFPageObj_SetIsActive(one.item, False)


def _is_hidden(page: Any, group: Sequence[PageObject]) -> bool:
    """Return whether the renderer paints nothing of a group on a page that is otherwise left out."""
    painted = [one for one in group if not is_invisible(one.item)]
    if not painted:
        return False
    tried = [item for one in painted for item in (*one.parents, one.item)]
    for item in tried:
        pdfium.FPDFPageObj_SetIsActive(item, True)
    try:
        return not paints(page)
    finally:
        for item in tried:
            pdfium.FPDFPageObj_SetIsActive(item, False)


def silence_invisible_ink(objects: Sequence[PageObject]) -> None:
    """Leave out text without paint; beneath a scan it is the layer of words that a recogniser found."""
    for one in objects:
        if one.kind == pdfium.FPDF_PAGEOBJ_TEXT and is_invisible(one.item):
            pdfium.FPDFPageObj_SetIsActive(one.item, False)


def is_invisible(item: Any) -> bool:
    """Return whether a text object is drawn without paint."""
    return bool(pdfium.FPDFTextObj_GetTextRenderMode(item) == pdfium.FPDF_TEXTRENDERMODE_INVISIBLE)


def _layered_text(objects: Sequence[PageObject]) -> dict[GroupKey, list[PageObject]]:
    groups: dict[GroupKey, list[PageObject]] = defaultdict(list)
    count_marks = pdfium.FPDFPageObj_CountMarks
    for one in objects:
        if one.kind != pdfium.FPDF_PAGEOBJ_TEXT or not (one.parents or count_marks(one.item)):
            continue
        if key := _group_key(one):
            groups[key].append(one)
    return groups


def _group_key(one: PageObject) -> GroupKey:
    """Return what decides whether the text is shown: its forms, and the layers that it is marked with."""
    key = tuple(address(parent) for parent in one.parents)
    for item in (*one.parents, one.item):
        key += tuple(_layer_marks(item))
    return key


def _layer_marks(item: Any) -> list[int]:
    found = []
    for position in range(pdfium.FPDFPageObj_CountMarks(item)):
        mark = pdfium.FPDFPageObj_GetMark(item, position)
        if mark and _mark_name(mark) == LAYER_MARK:
            found.append(address(mark))
    return found


def _mark_name(mark: Any) -> str:
    buffer = (ctypes.c_ushort * (NAME_BYTES // 2))()
    length = ctypes.c_ulong()
    if not pdfium.FPDFPageObjMark_GetName(mark, buffer, NAME_BYTES, length) or length.value > NAME_BYTES:
        return ""
    return bytes(buffer)[: max(0, length.value - 2)].decode("utf-16-le", errors="replace")
