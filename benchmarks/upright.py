"""Scans that lie the wrong way: how many are turned upright, how exactly their skew is found, at which cost.

python -m benchmarks.upright --data DIR [--receipts 60] [--pages 20] [--out benchmarks/results/upright.json]

DIR holds sroie/ (scanned receipts) and adbuy/ (PDFs, whose first pages are rendered). Each page is shown in
four directions, two of them skewed; the detector stands beside the one before it on the same pictures.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.machine import machine
from benchmarks.previous_reading import first_page
from benchmarks.previous_upright import PreviousUpright
from benchmarks.progress import progress_bar
from benchmarks.servers import write_figures
from pagemill.extraction.recognition.recognizer import Recognizer
from pagemill.extraction.recognition.skew import skew
from pagemill.extraction.recognition.upright import UprightDetector, quarter_turned
from pagemill.rotation import ROTATIONS, Rotation

SEED = 20260101
MOST_SKEW = 7.0
DOTS_PER_POINT = 150 / 72
LONGEST_SIDE = 1600
SHARES: tuple[float, ...] = (0.5, 0.95)

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Shown:
    """A page skewed by ``skew`` degrees, then turned by ``rotation``, both clockwise."""

    pixels: Pixels
    rotation: Rotation
    skew: float


@dataclass(slots=True)
class Counted:
    """Verdicts of a detector, and the CPU seconds that they took."""

    upright_kept: list[bool] = field(default_factory=list)
    turned_back: list[bool] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, shown: Shown, found: Rotation, seconds: float) -> None:
        """Add a verdict."""
        verdicts = self.upright_kept if shown.rotation == 0 else self.turned_back
        verdicts.append((shown.rotation + found) % 360 == 0)
        self.seconds.append(seconds)

    def figures(self) -> dict[str, object]:
        """Return shares of right verdicts and the time of a page."""
        return {
            "uprightKept": round(statistics.fmean(self.upright_kept), 4),
            "turnedBack": round(statistics.fmean(self.turned_back), 4),
            "cpuMillisecondsPerPage": round(1000 * statistics.fmean(self.seconds), 1),
            "cpuMillisecondsMedian": round(1000 * statistics.median(self.seconds), 1),
        }


def main() -> None:
    """Measure both detectors and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--receipts", type=int, default=60)
    parser.add_argument("--pages", type=int, default=20, help="first pages of PDFs")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/upright.json"))
    arguments = parser.parse_args()
    receipts = chosen(arguments.data / "sroie", "*.jpg", arguments.receipts)
    paths = receipts + chosen(arguments.data / "adbuy", "*.pdf", arguments.pages)
    with progress_bar("pages in four directions", len(paths)) as advance:
        figures = measure(paths, advance)
    write_figures({"benchmark": "upright", "machine": machine(), **figures}, arguments.out)


def chosen(folder: Path, pattern: str, count: int) -> list[Path]:
    """Return a fixed random choice of the documents of a folder."""
    documents = sorted(folder.glob(pattern))
    return random.Random(SEED).sample(documents, min(count, len(documents)))


def measure(paths: list[Path], advance: Callable[[], None]) -> dict[str, Any]:
    """Return the figures of the detector and of the one before it."""
    cv2.setNumThreads(1)
    detector, previous = UprightDetector(Recognizer().lines), PreviousUpright()
    generator = random.Random(SEED)
    warm_up(detector, previous, page_pixels(paths[0]))
    now, before, errors = Counted(), Counted(), []
    for path in paths:
        page = page_pixels(path)
        own = skew(page)
        for shown in directions(page, generator):
            started = time.process_time()
            found = detector.rotation(shown.pixels)
            between = time.process_time()
            now.add(shown, found, between - started)
            found = previous.rotation(shown.pixels)
            before.add(shown, found, time.process_time() - between)
            if shown.skew:
                errors.append(abs(skew(shown.pixels) - own - shown.skew))
        advance()
    return {
        "documents": len(paths),
        "pictures": len(now.seconds),
        **now.figures(),
        "degreesOff": {f"{share:.0%}": round(float(np.quantile(errors, share)), 2) for share in SHARES},
        "previous": before.figures(),
    }


def warm_up(detector: UprightDetector, previous: PreviousUpright, page: Pixels) -> None:
    """Load all models: upside down, a page is read by both."""
    previous.rotation(page)
    detector.rotation(quarter_turned(page, 180))


def page_pixels(path: Path) -> Pixels:
    """Return the first page in the resolution that is read."""
    image = first_page(path.read_bytes(), DOTS_PER_POINT)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image, np.uint8)


def directions(page: Pixels, generator: random.Random) -> Iterator[Shown]:
    """Show a page in four directions, two of them skewed by up to seven degrees."""
    skewed = generator.sample(ROTATIONS, 2)
    for rotation in ROTATIONS:
        degrees = generator.uniform(-MOST_SKEW, MOST_SKEW) if rotation in skewed else 0.0
        yield Shown(quarter_turned(turned_by(page, degrees), rotation), rotation, degrees)


def turned_by(page: Pixels, degrees: float) -> Pixels:
    """Return the page turned clockwise on white paper."""
    if not degrees:
        return page
    image = Image.fromarray(page)
    turned = image.rotate(-degrees, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    return np.asarray(turned, np.uint8)


if __name__ == "__main__":
    main()
