"""Charts of lines over a common axis, one above the other, as SVG or PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from typing import NamedTuple, Protocol

from PIL import Image, ImageDraw, ImageFont

WIDTH, PANEL_HEIGHT = 800, 240
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 34, 36
TICKS = 4
PILLOW_ANCHORS = {"start": "lm", "middle": "mm", "end": "rm"}
INK, GRID = "#222222", "#dddddd"
TEXT_SIZE = 13

Point = tuple[float, float]


class Panel(NamedTuple):
    """A line with its title: points of (x, y) in the order of x."""

    title: str
    points: Sequence[Point]
    colour: str


class Canvas(Protocol):
    """A surface that lines and texts are drawn on, in pixels from the top left."""

    def line(self, points: Sequence[Point], colour: str, width: int) -> None:
        """Draw a line through some points."""

    def text(self, at: Point, text: str, anchor: str) -> None:
        """Write a text that begins (``start``), is centred (``middle``) or ends (``end``) at a point."""

    def content(self) -> bytes:
        """Return the file."""


class SvgCanvas:
    """A canvas whose file is SVG."""

    def __init__(self, width: int, height: int) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
            f' viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="{TEXT_SIZE}">',
            '<rect width="100%" height="100%" fill="white"/>',
        ]

    def line(self, points: Sequence[Point], colour: str, width: int) -> None:
        """Draw a line through some points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
        )

    def text(self, at: Point, text: str, anchor: str) -> None:
        """Write a text."""
        self._parts.append(
            f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}"'
            f' dominant-baseline="middle" fill="{INK}">{escape(text)}</text>'
        )

    def content(self) -> bytes:
        """Return the file."""
        return "\n".join([*self._parts, "</svg>\n"]).encode()


class PngCanvas:
    """A canvas whose file is PNG."""

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("RGB", (width, height), "white")
        self._draw = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(TEXT_SIZE)

    def line(self, points: Sequence[Point], colour: str, width: int) -> None:
        """Draw a line through some points."""
        self._draw.line(list(points), fill=colour, width=width, joint="curve")

    def text(self, at: Point, text: str, anchor: str) -> None:
        """Write a text."""
        self._draw.text(at, text, fill=INK, font=self._font, anchor=PILLOW_ANCHORS[anchor])

    def content(self) -> bytes:
        """Return the file."""
        file = io.BytesIO()
        self._image.save(file, "PNG")
        return file.getvalue()


CANVASES: dict[str, type[SvgCanvas] | type[PngCanvas]] = {".svg": SvgCanvas, ".png": PngCanvas}
"""Canvases by the ends of files' names."""


def draw_chart(panels: Sequence[Panel], axis: str, form: str) -> bytes:
    """Return a chart as a file of a form of ``CANVASES``; panels without points are left out."""
    shown = [panel for panel in panels if panel.points]
    canvas: Canvas = CANVASES[form](WIDTH, max(1, len(shown)) * PANEL_HEIGHT)
    for number, panel in enumerate(shown):
        _draw_panel(canvas, panel, axis, number * PANEL_HEIGHT)
    return canvas.content()


def _draw_panel(canvas: Canvas, panel: Panel, axis: str, top: int) -> None:
    (low_x, high_x), (low_y, high_y) = (_range([point[at] for point in panel.points]) for at in (0, 1))
    left, right = LEFT, WIDTH - RIGHT
    upper, lower = top + TOP, top + PANEL_HEIGHT - BOTTOM

    def place(x: float, y: float) -> Point:
        return (
            left + (x - low_x) / (high_x - low_x) * (right - left),
            lower - (y - low_y) / (high_y - low_y) * (lower - upper),
        )

    for tick in range(TICKS + 1):
        x = low_x + (high_x - low_x) * tick / TICKS
        y = low_y + (high_y - low_y) * tick / TICKS
        canvas.line([place(low_x, y), place(high_x, y)], GRID, 1)
        canvas.text((left - 8, place(low_x, y)[1]), _number(y), "end")
        canvas.text((place(x, low_y)[0], lower + 12), _number(x), "middle")
    canvas.text((left, top + TOP / 2), panel.title, "start")
    canvas.text((right, lower + 27), axis, "end")
    points = [place(x, y) for x, y in panel.points]
    canvas.line(points if len(points) > 1 else [points[0], (points[0][0] + 1, points[0][1])], panel.colour, 2)


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return the least and the largest value, apart from each other."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
