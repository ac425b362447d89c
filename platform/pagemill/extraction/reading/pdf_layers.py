"""Text of a PDF that no viewer shows: on layers that are off, or drawn with invisible ink."""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pypdfium2.raw as pdfium

from pagemill.extraction.reading.pdf_objects import (
    PageObject,
    PageObjects,
    invisible,
    left_out,
    numbered,
    set_active,
)
from pagemill.extraction.reading.pdf_paint import paints

LAYER_MARK = "OC"
MAX_GROUPS = 1000
NAME_BYTES = 64

GroupKey = tuple[int, ...]

_count_marks = numbered(pdfium.FPDFPageObj_CountMarks, result=ctypes.c_int)
_mark_at = numbered(pdfium.FPDFPageObj_GetMark, ctypes.c_ulong)


def silence_hidden_layers(page: Any, objects: PageObjects, texts: Sequence[int]) -> set[int]:
    """Leave out text that the renderer, which knows the layers, does not paint; return its objects.

    ``texts`` are the positions of text. Each stretch of marked content and each form is tried by itself;
    pdfium tells which layers a document has only by what it paints.
    """
    groups = list(_layered_text(objects, texts).values())[:MAX_GROUPS]
    if not groups:
        return set()
    with left_out(objects.items):
        hidden = {one.item for group in groups if _is_hidden(page, group) for one in group}
    set_active(hidden, active=False)
    return hidden


def _is_hidden(page: Any, group: Sequence[PageObject]) -> bool:
    """Return whether the renderer paints nothing of a group on a page that is otherwise left out."""
    unpainted = set(invisible([one.item for one in group]))
    painted = [one for one in group if one.item not in unpainted]
    if not painted:
        return False
    tried = [item for one in painted for item in (*one.parents, one.item)]
    set_active(tried, active=True)
    try:
        return not paints(page)
    finally:
        set_active(tried, active=False)


def _layered_text(objects: PageObjects, texts: Sequence[int]) -> dict[GroupKey, list[PageObject]]:
    groups: dict[GroupKey, list[PageObject]] = defaultdict(list)
    is_layer: dict[int, bool] = {}
    marks = list(map(_count_marks, map(objects.items.__getitem__, texts)))
    if not objects.parents and not any(marks):
        return groups
    for at, marked in zip(texts, marks, strict=True):
        if not marked and at not in objects.parents:
            continue
        one = objects.at(at)
        if key := _group_key(one, is_layer):
            groups[key].append(one)
    return groups


def _group_key(one: PageObject, is_layer: dict[int, bool]) -> GroupKey:
    """Return what decides whether the text is shown: its forms, and the layers that it is marked with."""
    key = one.parents
    for item in (*one.parents, one.item):
        key += tuple(mark for mark in _marks(item) if _is_layer_mark(mark, is_layer))
    return key


def _marks(item: int) -> list[int]:
    found = [_mark_at(item, position) for position in range(_count_marks(item))]
    return [mark for mark in found if mark]


def _is_layer_mark(mark: int, known: dict[int, bool]) -> bool:
    """Return whether a mark names a layer; many objects have the same mark."""
    if mark not in known:
        known[mark] = _mark_name(ctypes.cast(mark, pdfium.FPDF_PAGEOBJECTMARK)) == LAYER_MARK
    return known[mark]


def _mark_name(mark: Any) -> str:
    buffer = (ctypes.c_ushort * (NAME_BYTES // 2))()
    length = ctypes.c_ulong()
    if not pdfium.FPDFPageObjMark_GetName(mark, buffer, NAME_BYTES, length) or length.value > NAME_BYTES:
        return ""
    return bytes(buffer)[: max(0, length.value - 2)].decode("utf-16-le", errors="replace")
