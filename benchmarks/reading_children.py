"""Cost of the child processes: pages with a text layer, and a fresh child."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.reading_sides import cpu_seconds
from pagemill.extraction.reading import PageReader
from pagemill.extraction.types import ReadOptions

STARTS = 50
WARMING = 3


def measure_text_layers(
    reader: PageReader, paths: Sequence[Path], advance: Callable[[], object]
) -> dict[str, float]:
    """Read whole documents; those count whose pages all have a text layer."""
    pages = documents = 0
    seconds = 0.0
    for path in paths:
        content, used = path.read_bytes(), cpu_seconds(reader)
        reading = reader.read(content, range(reader.limits.pages), ReadOptions())
        used = cpu_seconds(reader) - used
        if all(page.source == "text" for page in reading.pages):
            pages, documents, seconds = pages + len(reading.pages), documents + 1, seconds + used
        advance()
    return {
        "textPages": pages,
        "textDocuments": documents,
        "textCpuSeconds": round(seconds, 3),
        "textPagesPerSecondPerCore": round(pages / seconds, 1) if seconds else 0.0,
    }


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
