"""Cost of the child processes: pages with a text layer, and a fresh child."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.reading_sides import cpu_seconds, own_cpu_seconds
from pagemill.extraction.reading import PageReader
from pagemill.extraction.reading.recognised_page import WordRecognizer
from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.types import ImageQuality, ReadOptions, Word

STARTS = 50
WARMING = 3


class TimedRecognizer:
    """Recogniser that counts pictures, and the CPU seconds that their recognition takes; for one thread."""

    def __init__(self, recognizer: WordRecognizer) -> None:
        self._recognizer = recognizer
        self.pictures = 0
        self.cpu_seconds = 0.0

    def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
        """Return the words of a picture."""
        used = own_cpu_seconds()
        words = self._recognizer.words(pixels, quality)
        self.cpu_seconds += own_cpu_seconds() - used
        self.pictures += 1
        return words

    def lines(self, crops: Sequence[Pixels]) -> list[tuple[str, float]]:
        """Return the text of lines: samples of a text layer that is doubted, which are part of its cost."""
        return self._recognizer.lines(crops)


def measure_text_layers(
    recognizer: WordRecognizer, paths: Sequence[Path], advance: Callable[[], object]
) -> dict[str, float]:
    """Read whole documents; those count whose pages all have a text layer.

    Pictures on these pages, which are recognised like scans, are counted by themselves.
    """
    pages = documents = pictures = 0
    layer_seconds = picture_seconds = 0.0
    timed = TimedRecognizer(recognizer)
    with PageReader(recognizer=timed) as reader:
        for path in paths[:1]:
            # The fork server starts with the first document: a replica does that once, not for each page.
            reader.inspect(path.read_bytes())
        for path in paths:
            content, used = path.read_bytes(), cpu_seconds(reader)
            timed.pictures, timed.cpu_seconds = 0, 0.0
            reading = reader.read(content, range(reader.limits.pages), ReadOptions())
            used = cpu_seconds(reader) - used
            if all(page.source == "text" for page in reading.pages):
                pages, documents, pictures = (
                    pages + len(reading.pages),
                    documents + 1,
                    pictures + timed.pictures,
                )
                layer_seconds += used - timed.cpu_seconds
                picture_seconds += timed.cpu_seconds
            advance()
    return {
        "textPages": pages,
        "textDocuments": documents,
        "textCpuSeconds": round(layer_seconds, 3),
        "textPagesPerSecondPerCore": per_second(pages, layer_seconds),
        "picturesOnTextPages": pictures,
        "pictureCpuSeconds": round(picture_seconds, 3),
        "pagesPerSecondPerCoreWithPictures": per_second(pages, layer_seconds + picture_seconds),
    }


def per_second(pages: int, seconds: float) -> float:
    """Return pages a second, 0 where there were none."""
    return round(pages / seconds, 1) if seconds else 0.0


def measure_fresh_child(reader: PageReader, small: bytes, times: int = STARTS) -> dict[str, float]:
    """Return the median milliseconds from the request of a child to the number of pages of its document."""
    walls, cpus = [], []
    for _ in range(WARMING + times):
        used, started = cpu_seconds(reader), time.perf_counter()
        reader.inspect(small)
        walls.append(time.perf_counter() - started)
        cpus.append(cpu_seconds(reader) - used)
    return {
        "freshChildMilliseconds": round(1000 * statistics.median(walls[WARMING:]), 1),
        "freshChildCpuMilliseconds": round(1000 * statistics.fmean(cpus[WARMING:]), 1),
    }
