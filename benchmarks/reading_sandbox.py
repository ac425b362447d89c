"""Cost of the sandbox: the same documents with and without it, one after the other, in the same run."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.reading_children import measure_fresh_child
from benchmarks.reading_sides import cpu_seconds
from pagemill.extraction.reading import PageReader
from pagemill.extraction.reading import reader as reader_module
from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.types import ImageQuality, ReadOptions, Word

UNCONFINED: Final = "benchmarks.unconfined_reading"
ROUNDS: Final = 3


class NoRecognizer:
    """Recogniser that finds nothing: recognition is outside of the sandbox, and costs the same without it."""

    def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
        """Return no words."""
        return []

    def lines(self, crops: Sequence[Pixels]) -> list[tuple[str, float]]:
        """Return lines without text."""
        return [("", 0.0) for _ in crops]


@contextmanager
def both_readers(small: bytes) -> Iterator[dict[str, PageReader]]:
    """Open a reader whose children are confined, and one whose children are not; both servers run already."""
    confined = reader_module.ZYGOTE
    with ExitStack() as stack:
        readers = {}
        for name, module in (("confined", confined), ("unconfined", UNCONFINED)):
            reader_module.ZYGOTE = module
            try:
                readers[name] = stack.enter_context(PageReader(recognizer=NoRecognizer()))
                readers[name].inspect(small)
            finally:
                reader_module.ZYGOTE = confined
        yield readers


def measure_sandbox(
    paths: Sequence[Path], advance: Callable[[], object], rounds: int = ROUNDS
) -> dict[str, Any]:
    """Return the CPU times of both, which begin in turn, and their ratio: of all pages, and the median pair.

    What is read is parsed and rendered, and not recognised.
    """
    contents = [path.read_bytes() for path in paths]
    used: dict[str, list[float]] = {"confined": [], "unconfined": []}
    pages = 0
    with both_readers(min(contents, key=len)) as readers:
        for number in range(rounds):
            for at, content in enumerate(contents):
                order = sorted(readers, reverse=bool((number + at) % 2))
                for name in order:
                    seconds, read = _read(readers[name], content)
                    used[name].append(seconds)
                pages += read
                advance()
        fresh = {name: measure_fresh_child(one, min(contents, key=len)) for name, one in readers.items()}
    pairs = zip(used["confined"], used["unconfined"], strict=True)
    confined, unconfined = sum(used["confined"]), sum(used["unconfined"])
    return {
        "documents": len(paths),
        "pages": pages,
        "cpuMillisecondsPerPage": round(1000 * confined / pages, 3),
        "cpuMillisecondsPerPageUnconfined": round(1000 * unconfined / pages, 3),
        "cpuRatio": round(confined / unconfined, 4),
        "cpuRatioOfMedianPair": round(statistics.median(one / other for one, other in pairs), 4),
        "freshChild": fresh,
    }


def _read(reader: PageReader, content: bytes) -> tuple[float, int]:
    """Read a whole document; return the CPU seconds and its pages."""
    before = cpu_seconds(reader)
    reading = reader.read(content, range(reader.limits.pages), ReadOptions())
    return cpu_seconds(reader) - before, len(reading.pages)
