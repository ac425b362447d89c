"""Resolution at which a page is recognised."""

from __future__ import annotations

from pagemill.extraction.types import ImageQuality

LONGEST_SIDE: dict[ImageQuality, int] = {"LOW": 1600, "HIGH": 2200}
STRIP = 3.0
"""Few receipts are longer than this many times their width. Longer pages keep the resolution of one that is
so long: shrunk to the longest side, their letters would be too small to read."""
MOST_SIDE = 30_000
"""No side has more pixels: a page may be of any length, the time to recognise it may not."""


def size_within(
    width: float, height: float, quality: ImageQuality, most_pixels: int, *, largest_scale: float = 1.0
) -> tuple[int, int]:
    """Return the size in pixels at which a page of a size is recognised; neither side is 0."""
    longest, shortest = max(width, height), min(width, height)
    wanted = LONGEST_SIDE[quality] / min(longest, STRIP * shortest)
    fitting = (most_pixels / (width * height)) ** 0.5
    scale = min(wanted, fitting, largest_scale, MOST_SIDE / longest)
    # A side of less than one pixel becomes one, which leaves fewer for the other side.
    rows = min(max(1, int(height * scale)), most_pixels)
    columns = min(max(1, int(width * scale)), most_pixels // rows)
    return columns, rows
