"""Small renderings of parts of a PDF's page: what is painted there, and how it looks."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pypdfium2.raw as pdfium
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in points of the page as shown."""
Pixels = NDArray[np.uint8]

RGB_CHANNELS = 3
LONGEST_PROBE = 420
DEVICE_UNITS, STEP = 1_000_000, 1000.0
WHITE, CLEAR = 0xFFFFFFFF, 0x00000000


def shown_transform(page: Any) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Return the transformation from the page's space to points of the page as shown, origin top left.

    It takes numbers or arrays. pdfium's own transformation knows the crop box and the page's rotation.
    """
    width, height = pdfium.FPDF_GetPageWidthF(page), pdfium.FPDF_GetPageHeightF(page)

    def device(x: float, y: float) -> tuple[int, int]:
        across, down = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDF_PageToDevice(page, 0, 0, DEVICE_UNITS, DEVICE_UNITS, 0, x, y, across, down)
        return across.value, down.value

    origin, along_x, along_y = device(0, 0), device(STEP, 0), device(0, STEP)
    x_by_x, x_by_y = (along_x[0] - origin[0]) / STEP, (along_y[0] - origin[0]) / STEP
    y_by_x, y_by_y = (along_x[1] - origin[1]) / STEP, (along_y[1] - origin[1]) / STEP
    across_unit, down_unit = width / DEVICE_UNITS, height / DEVICE_UNITS

    def to_shown(x: Any, y: Any) -> tuple[Any, Any]:
        across = origin[0] + x * x_by_x + y * x_by_y
        down = origin[1] + x * y_by_x + y * y_by_y
        return across * across_unit, down * down_unit

    return to_shown


def shown_box(page: Any, corners: Iterable[tuple[float, float]]) -> Box:
    """Return the box on the page as shown around some points of the page's space."""
    to_shown = shown_transform(page)
    points = [to_shown(x, y) for x, y in corners]
    across, down = [point[0] for point in points], [point[1] for point in points]
    return min(across), min(down), max(across), max(down)


def render_box(page: Any, box: Box, scale: float, *, background: int = WHITE) -> Pixels:
    """Return a part of the page as shown: pixels of (height, width, 4) as red, green, blue, alpha."""
    pixels = np.empty((*rendered_size(box, scale), RGB_CHANNELS + 1), np.uint8)
    draw_box(page, box, scale, pixels, background=background)
    return pixels


def rendered_size(box: Box, scale: float) -> tuple[int, int]:
    """Return the height and the width of a part of a page in pixels."""
    x0, y0, x1, y1 = box
    return max(1, math.ceil((y1 - y0) * scale)), max(1, math.ceil((x1 - x0) * scale))


def draw_box(page: Any, box: Box, scale: float, pixels: Pixels, *, background: int = WHITE) -> None:
    """Draw a part of the page as shown on pixels of its size: (height, width, 3), or with alpha, 4."""
    height, width, channels = pixels.shape
    across = max(1, round(pdfium.FPDF_GetPageWidthF(page) * scale))
    down = max(1, round(pdfium.FPDF_GetPageHeightF(page) * scale))
    kind = pdfium.FPDFBitmap_BGR if channels == RGB_CHANNELS else pdfium.FPDFBitmap_BGRA
    bitmap = pdfium.FPDFBitmap_CreateEx(width, height, kind, pixels.ctypes.data, width * channels)
    try:
        pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, width, height, background)
        start = -round(box[0] * scale), -round(box[1] * scale)
        pdfium.FPDF_RenderPageBitmap(bitmap, page, *start, across, down, 0, pdfium.FPDF_REVERSE_BYTE_ORDER)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)


def paints(page: Any) -> bool:
    """Return whether anything is painted on the page; white counts as paint."""
    width, height = pdfium.FPDF_GetPageWidthF(page), pdfium.FPDF_GetPageHeightF(page)
    scale = min(1.0, LONGEST_PROBE / max(width, height, 1e-6))
    return bool(render_box(page, (0.0, 0.0, width, height), scale, background=CLEAR)[:, :, 3].any())
