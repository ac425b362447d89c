"""Objects of a PDF's page by number: pdfium's functions for them, without an object of Python for each."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import pypdfium2.raw as pdfium

MAX_FORM_DEPTH = 6
MAX_OBJECTS = 100_000


class PageObject(NamedTuple):
    """An object of a page, and the form objects that it is nested in, outermost first: pdfium's handles."""

    item: int
    parents: tuple[int, ...]


class PageObjects(NamedTuple):
    """The objects of a page in the order of painting: handles, kinds, and the forms around those in forms.

    Pages have thousands of them, of which few are looked at one by one.
    """

    items: list[int]
    kinds: bytes
    parents: Mapping[int, tuple[int, ...]]

    def positions(self, kind: int) -> list[int]:
        """Return the positions of the objects of a kind."""
        found: list[int] = np.flatnonzero(np.frombuffer(self.kinds, np.uint8) == kind).tolist()
        return found

    def at(self, position: int) -> PageObject:
        """Return the object at a position."""
        return PageObject(self.items[position], self.parents.get(position, ()))


def numbered(function: Any, *others: Any, result: Any = ctypes.c_void_p) -> Any:
    """Return a function of pdfium whose first argument, a handle, and result are numbers: for many calls."""
    at = ctypes.cast(function, ctypes.c_void_p).value or 0
    # A child has one thread: it need not let go of the interpreter's lock for each call.
    return ctypes.PYFUNCTYPE(result, ctypes.c_void_p, *others)(at)


def address(handle: Any) -> int:
    """Return the number of a handle of pdfium."""
    return ctypes.addressof(handle.contents)


_count = numbered(pdfium.FPDFPage_CountObjects, result=ctypes.c_int)
_object_at = numbered(pdfium.FPDFPage_GetObject, ctypes.c_int)
_count_nested = numbered(pdfium.FPDFFormObj_CountObjects, result=ctypes.c_int)
_nested_at = numbered(pdfium.FPDFFormObj_GetObject, ctypes.c_ulong)
_kind_of = numbered(pdfium.FPDFPageObj_GetType, result=ctypes.c_int)
_render_mode = numbered(pdfium.FPDFTextObj_GetTextRenderMode, result=ctypes.c_int)
_set_active = numbered(pdfium.FPDFPageObj_SetIsActive, ctypes.c_int, result=ctypes.c_int)


def page_objects(page: Any) -> PageObjects:
    """Return every object of a page, also those in forms, in the order of painting."""
    handle = address(page.raw)
    items = list(map(_object_at, repeat(handle), range(min(_count(handle), MAX_OBJECTS))))
    kinds = bytes(map(_kind_of, items))
    if pdfium.FPDF_PAGEOBJ_FORM not in kinds:
        return PageObjects(items, kinds, {})
    return _with_nested(items, kinds)


def _with_nested(items: Sequence[int], kinds: bytes) -> PageObjects:
    found: list[tuple[int, int, tuple[int, ...]]] = []
    for item, kind in zip(items, kinds, strict=True):
        found.append((item, kind, ()))
        if kind == pdfium.FPDF_PAGEOBJ_FORM:
            _add_nested(item, (item,), found)
    parents = {at: forms for at, (_, _, forms) in enumerate(found) if forms}
    return PageObjects([item for item, _, _ in found], bytes([kind for _, kind, _ in found]), parents)


def _add_nested(form: int, parents: tuple[int, ...], found: list[tuple[int, int, tuple[int, ...]]]) -> None:
    for position in range(_count_nested(form)):
        if len(found) >= MAX_OBJECTS:
            return
        item = _nested_at(form, position)
        kind = _kind_of(item)
        found.append((item, kind, parents))
        if kind == pdfium.FPDF_PAGEOBJ_FORM and len(parents) < MAX_FORM_DEPTH:
            _add_nested(item, (*parents, item), found)


@contextmanager
def left_out(items: Collection[int]) -> Iterator[None]:
    """Leave objects that are active out of renderings for a while."""
    try:
        set_active(items, active=False)
        yield
    finally:
        set_active(items, active=True)


def set_active(items: Collection[int], *, active: bool) -> None:
    """Let objects take part in renderings and in the text layer, or not."""
    deque(map(_set_active, items, repeat(active)), maxlen=0)


def invisible(items: Collection[int]) -> list[int]:
    """Return the text objects that are drawn without paint."""
    unpainted = pdfium.FPDF_TEXTRENDERMODE_INVISIBLE
    modes = list(map(_render_mode, items))
    if unpainted not in modes:
        return []
    return [item for item, mode in zip(items, modes, strict=True) if mode == unpainted]
