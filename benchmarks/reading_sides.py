"""Readers side by side on the same pages, page by page, so that the load of the machine meets all of them."""

from __future__ import annotations

import json
import random
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from benchmarks.word_scores import WordScore
from pagemill.extraction.reading import PageReader
from pagemill.extraction.types import ReadOptions

SEED = 20260101


class Side(Protocol):
    """A reader in the benchmark."""

    def words(self, path: Path) -> Iterable[str]:
        """Return the words of the first page of a document."""
        ...

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that it has used; only differences count."""
        ...


class CurrentReading:
    """The platform's reader."""

    def __init__(self, reader: PageReader) -> None:
        self._reader = reader

    def words(self, path: Path) -> list[str]:
        """Return the words of the first page."""
        reading = self._reader.read(path.read_bytes(), [0], ReadOptions())
        return [word.text for page in reading.pages for word in page.words]

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of this process, of the reader's children and of what forks them."""
        return cpu_seconds(self._reader)


def cpu_seconds(reader: PageReader) -> float:
    """Return the CPU seconds of the whole reader, which depend little on the load of the machine."""
    forking = reader.fork_server_process_id
    times = psutil.Process(forking).cpu_times() if forking is not None else None
    forked = float(times.user + times.system) if times is not None else 0.0
    return own_cpu_seconds() + reader.child_processor_seconds + forked


def own_cpu_seconds() -> float:
    """Return the CPU seconds of this process and the programs that it ran, which a recogniser may do.

    What other sides ran before is in both ends of a difference.
    """
    ran = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ran.ru_utime + ran.ru_stime


@dataclass(slots=True)
class Measured:
    """Costs of a side, and its score."""

    score: WordScore = field(default_factory=WordScore)
    cpu_seconds: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """Return the figures as JSON."""
        return {
            **self.score.figures(),
            "cpuSecondsPerPage": round(statistics.fmean(self.cpu_seconds), 3),
            "secondsPerPage": round(statistics.fmean(self.seconds), 3),
            "secondsPerPageMedian": round(statistics.median(self.seconds), 3),
            "secondsPerPageMax": round(max(self.seconds), 3),
        }


@dataclass(frozen=True, slots=True)
class Receipts:
    """Scanned receipts, and the lines that are printed on each."""

    paths: Sequence[Path]
    references: Mapping[str, Sequence[str]]


def sample_receipts(folder: Path, count: int) -> Receipts:
    """Return a fixed random sample of the documents that have a reference."""
    given = json.loads((folder / "given_ocr_lines.json").read_text())
    references = {name: [line["text"] for line in one["lines"]] for name, one in given.items()}
    documents = sorted(path for path in folder.iterdir() if path.stem in references)
    return Receipts(random.Random(SEED).sample(documents, min(count, len(documents))), references)


def compare(
    sides: Mapping[str, Side], receipts: Receipts, advance: Callable[[], object]
) -> dict[str, Measured]:
    """Read each page with each side, which begin in turn. The first page is read once more before."""
    measured = {name: Measured() for name in sides}
    for side in sides.values():
        list(side.words(receipts.paths[0]))
    for number, path in enumerate(receipts.paths):
        names = list(sides)
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            side, result = sides[name], measured[name]
            used, started = side.cpu_seconds(), time.perf_counter()
            words = list(side.words(path))
            result.seconds.append(time.perf_counter() - started)
            result.cpu_seconds.append(side.cpu_seconds() - used)
            result.score.add(words, receipts.references[path.stem])
        advance()
    return measured
