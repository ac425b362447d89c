"""Loading of what parsers open when they first need it: a child in its sandbox could not any more."""

from __future__ import annotations

import codecs
import ctypes
from typing import Final

import pypdfium2.raw as pdfium

# Loaded here, and not by each child.
from PIL import (
    Image,
    ImageCms,  # noqa: F401
    ImageColor,  # noqa: F401
    ImageFilter,  # noqa: F401
    ImageOps,  # noqa: F401
    ImagePalette,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from pagemill.extraction.reading.pdf_substitutes import substitute_fonts

ENCODINGS: Final = (
    *("ascii", "cp1252", "latin-1", "mac-roman", "utf-8-sig"),
    *("utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be", "utf-32-le"),
)
"""Encodings of text in documents: Python imports each when it is first used."""

_CALLBACK: Final = ctypes.CFUNCTYPE(None)
_NO_DIRECTORIES: Final = (ctypes.POINTER(ctypes.c_char) * 1)()
_callbacks: list[object] = []


def preload_parsers(*, fonts: bool) -> None:
    """Load formats, encodings, and the memory for callbacks of C code.

    With ``fonts``, children use those of the machine; without, pdfium's own stand for all that a PDF lacks.
    """
    Image.preinit()
    for encoding in ENCODINGS:
        codecs.lookup(encoding)
    if not fonts:
        _forget_fonts()
    # pdfium lists the machine's fonts when it looks for the first one.
    substitute_fonts()
    # libffi maps the code of its callbacks once for many of them: no child may make memory executable.
    _callbacks.append(_CALLBACK(lambda: None))


def _forget_fonts() -> None:
    """Start pdfium anew without directories: a font that it knew and could not open would draw nothing."""
    pdfium.FPDF_DestroyLibrary()
    pdfium.FPDF_InitLibraryWithConfig(pdfium.FPDF_LIBRARY_CONFIG(version=2, m_pUserFontPaths=_NO_DIRECTORIES))
