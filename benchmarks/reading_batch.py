"""Pages a second of a replica, beside a plain loop of the bare engine with as many threads."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from benchmarks.previous_reading import page_pixels
from benchmarks.reading_engine import bare_engine, replica_recognizer
from pagemill.applications.clients import parts_per_replica
from pagemill.applications.requests import ReadingRequest
from pagemill.extraction.reading import PageReader
from pagemill.extraction.reading.recognised_page import WordRecognizer
from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.types import ImageQuality, ReadOptions, Word
from pagemill.objects.local import LocalObjectStore
from pagemill.settings import Settings
from serve_apps.reading import ONGOING_FOR_EACH_PART, CachedReading
from serve_apps.reading_lane import ReadingLane
from serve_apps.reading_metrics import ReadingMetrics

Page = TypeVar("Page")


class Recorder:
    """Recogniser that keeps the pixels that it is given, and finds nothing in them."""

    def __init__(self) -> None:
        self.pixels: list[Pixels] = []

    def words(self, pixels: Pixels, quality: ImageQuality) -> list[Word]:
        """Keep the pixels."""
        self.pixels.append(pixels)
        return []

    def lines(self, crops: Sequence[Pixels]) -> list[tuple[str, float]]:
        """Return that nothing is certain."""
        return [("", 0.0) for _ in crops]


def decoded(contents: Sequence[bytes]) -> list[Pixels]:
    """Return the pixels that a replica would recognise on the first page of each document."""
    recorder = Recorder()
    with PageReader(recognizer=recorder) as reader:
        for content in contents:
            reader.read(content, [0], ReadOptions())
    return recorder.pixels


def measure_batch(
    contents: Sequence[bytes], threads: int, rounds: int, advance: Callable[[], object]
) -> dict[str, float]:
    """Measure both in turn, with the same engine; each figure is the median of the rounds."""
    engine = bare_engine(threads)
    recognizer = replica_recognizer(engine)
    engine.words(page_pixels(contents[0]), "LOW")
    bare, replica = [], []
    for _ in range(rounds):
        bare.append(len(contents) / bare_seconds(engine, contents, threads, decode=page_pixels))
        advance()
        replica.append(len(contents) / asyncio.run(replica_seconds(recognizer, contents, threads)))
        advance()
    ratio = statistics.median(replica) / statistics.median(bare)
    return {
        "threads": threads,
        "pages": len(contents),
        "rounds": rounds,
        "pagesPerSecond": round(statistics.median(replica), 3),
        "bareEnginePagesPerSecond": round(statistics.median(bare), 3),
        "ratio": round(ratio, 3),
    }


def bare_seconds(
    engine: WordRecognizer, pages: Sequence[Page], threads: int, *, decode: Callable[[Page], Pixels]
) -> float:
    """Return the seconds of a loop that decodes pages and has the engine read them, without any bounds."""
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda page: engine.words(decode(page), "LOW"), pages))
    return time.perf_counter() - started


async def replica_seconds(recognizer: WordRecognizer, contents: Sequence[bytes], threads: int) -> float:
    """Return the seconds that a replica needs for documents that are stored, none of them read before."""
    with tempfile.TemporaryDirectory() as directory, PageReader(recognizer=recognizer) as reader:
        objects = LocalObjectStore(Path(directory))
        keys = [f"organizations/o/documents/{number}/content/c" for number in range(len(contents))]
        for key, content in zip(keys, contents, strict=True):
            await objects.put(key, content)
        # As many as a replica with so many threads reads at a time.
        at_once = parts_per_replica(
            Settings(database_url="", objects_url="", token_key="", reading_cpus=threads)
        )
        lane = ReadingLane(reader, at_once=at_once)
        reading = CachedReading(objects, lane, lane, ReadingMetrics())
        ongoing = asyncio.Semaphore(ONGOING_FOR_EACH_PART * at_once)

        async def ask(key: str) -> None:
            async with ongoing:
                await reading.read(ReadingRequest(content_key=key))

        await asyncio.to_thread(reader.inspect, contents[0])
        started = time.perf_counter()
        await asyncio.gather(*map(ask, keys))
        return time.perf_counter() - started
