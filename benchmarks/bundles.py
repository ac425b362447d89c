"""Data bundles beside the former way, in one run on one machine: seconds, and the memory of each process.

Nothing is read: pages are made up, and stored as replicas store them. The former way kept no words in a
bundle, so that each training gathered them; it is measured as one bundle and the gathering of one training.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine import machine
from pagemill.applications.clients import ReadingClient, read_all_parts
from pagemill.applications.requests import first_pages_request
from pagemill.concurrency import gather_or_cancel
from pagemill.documents.bundle_contents import BundleContents, save_contents
from pagemill.extraction.types import ReadOptions
from pagemill.objects import open_objects
from pagemill.settings import Settings, load_settings, to_environment
from tests.support.bundling import StubReading
from tests.support.ray_cluster import local_ray
from train_jobs import snapshots
from train_jobs.bundle_blocks import BlockDocument, blocks_of
from train_jobs.bundle_dataset import iterate_examples
from train_jobs.bundle_pipeline import BundleStage, bundle_on_ray_data
from train_jobs.gather import ExampleGatherer
from train_jobs.snapshots import ReadableDocument, Snapshot, SnapshotDocument

SMALL, LARGE = 20, 5000
ROUNDS = 5
PAGES, WORDS = 3, 300
PARTS_AT_ONCE = 32
SAMPLE_SECONDS = 0.1
GIGABYTE = 2**30
BOUNDS = {"addedSecondsSmall": 3.0, "largestProcessGigabytes": 1.0}
LABELS = [{"label": f"label-{number}", "value": f"value {number}"} for number in range(20)]


class StubStage(BundleStage):
    """The stage with pages that are made up."""

    def find_reading(self) -> ReadingClient:
        """Return a client that makes pages up."""
        return stub_reading()


def stub_reading() -> StubReading:
    """Return a client that makes pages up and stores them."""
    return StubReading(open_objects(load_settings(os.environ)), number_of_pages=PAGES, words=WORDS)


def documents(name: str, number: int) -> list[BlockDocument]:
    """Return labelled documents of one bundle."""
    return [
        BlockDocument(f"las:document:{one:032x}", f"documents/{name}/{one:06d}/content/c", LABELS)
        for one in range(number)
    ]


def bundle_on_ray(name: str, number: int) -> None:
    """Make a bundle as its task does."""
    asyncio.run(_bundle(name, number))


async def _bundle(name: str, number: int) -> None:
    settings = load_settings(os.environ)
    prefix = f"data-bundles/{name}/"
    blocks = blocks_of(documents(name, number), prefix, ReadOptions())
    outcomes = [one async for one in bundle_on_ray_data(settings, name, blocks, StubStage)]
    files = [file for one in sorted(outcomes, key=lambda one: one.number) for file in one.files]
    await save_contents(open_objects(settings), prefix, BundleContents(files))


def bundle_formerly(name: str, number: int) -> None:
    """Make a bundle as the task of the former release did."""
    asyncio.run(_bundle_formerly(name, number))


async def _bundle_formerly(name: str, number: int) -> None:
    objects, reading = open_objects(load_settings(os.environ)), stub_reading()
    turns = asyncio.Semaphore(PARTS_AT_ONCE)
    requests = [
        first_pages_request(str(document.content_key), ReadOptions(), PAGES)
        for document in documents(name, number)
    ]
    await gather_or_cancel(read_all_parts(reading, request, turns) for request in requests)
    snapshot = Snapshot(ReadOptions(), [one.document for one in readable(name, number)])
    await objects.put(f"data-bundles/{name}.json", snapshots.encode(snapshot))


def readable(name: str, number: int) -> list[ReadableDocument]:
    """Return the documents of a snapshot."""
    return [
        ReadableDocument(
            SnapshotDocument(document.document_id, str(document.content_key), document.ground_truth),
            ReadOptions(),
        )
        for document in documents(name, number)
    ]


def take_examples(name: str) -> int:
    """Take the examples of a bundle one after the other; return how many pages there were."""
    return asyncio.run(_take(name))


async def _take(name: str) -> int:
    objects = open_objects(load_settings(os.environ))
    return sum([len(one.pages) async for one in iterate_examples(objects, [f"data-bundles/{name}/"])])


def gather_formerly(name: str, number: int) -> int:
    """Gather the examples of a snapshot as a training did; return how many pages there were."""
    objects = open_objects(load_settings(os.environ))
    gatherer = ExampleGatherer(objects, stub_reading(), PAGES)
    return sum(len(one.pages) for one in asyncio.run(gatherer.gather(readable(name, number))))


@contextlib.contextmanager
def watched_memory() -> Iterator[dict[str, float]]:
    """Watch this process and its children; the names of processes get their most GiB, when it has ended."""
    peaks: dict[str, float] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error, IndexError):
                    title, memory = process.cmdline()[0], process.memory_info()
                    if title.startswith("ray::"):
                        # The shared part is Ray's object store and libraries.
                        own = (memory.rss - memory.shared) / GIGABYTE
                        peaks[title] = max(peaks.get(title, 0.0), own)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def in_task(function: Any, *arguments: Any) -> tuple[float, Any]:
    """Run a function in a new process of Ray, as a job's task; return its seconds and its result."""
    import ray

    started = time.perf_counter()
    result = ray.get(ray.remote(num_cpus=0, max_calls=1)(function).remote(*arguments))
    return time.perf_counter() - started, result


def measure(small: int, large: int, rounds: int) -> dict[str, Any]:
    """Return the figures of all bundles."""
    seconds: dict[str, list[float]] = {"now": [], "formerly": []}
    for one in range(rounds):
        seconds["now"].append(in_task(bundle_on_ray, f"small-now-{one}", small)[0])
        seconds["formerly"].append(in_task(bundle_formerly, f"small-formerly-{one}", small)[0])
    medians = {way: round(statistics.median(some), 2) for way, some in seconds.items()}
    with watched_memory() as now:
        made, _ = in_task(bundle_on_ray, "large-now", large)
        taken, pages = in_task(take_examples, "large-now")
    with watched_memory() as formerly:
        made_formerly, _ = in_task(bundle_formerly, "large-formerly", large)
        gathered, pages_formerly = in_task(gather_formerly, "large-formerly", large)
    assert pages == pages_formerly == large * PAGES, (pages, pages_formerly)
    return {
        "small": {"documents": small, "seconds": medians},
        "large": {
            "documents": large,
            "pages": pages,
            "secondsToMake": {"now": round(made, 1), "formerly": round(made_formerly, 1)},
            "secondsToTake": {"now": round(taken, 1), "formerly": round(gathered, 1)},
            "gigabytesOfProcesses": {"now": _rounded(now), "formerly": _rounded(formerly)},
        },
        "addedSecondsSmall": round(medians["now"] - medians["formerly"], 2),
        "largestProcessGigabytes": round(max(now.values()), 3),
    }


def _rounded(peaks: dict[str, float]) -> dict[str, float]:
    return {title: round(peak, 3) for title, peak in sorted(peaks.items())}


def main() -> None:
    """Run the benchmark and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--small", type=int, default=SMALL)
    parser.add_argument("--large", type=int, default=LARGE)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pagemill-bundles-") as directory:
        settings = Settings(
            database_url="postgresql://unused",
            objects_url=Path(directory).as_uri(),
            reading_replicas_max=PARTS_AT_ONCE // 2,
            training_pages_per_document=PAGES,
        )
        with local_ray(to_environment(settings)):
            found = measure(options.small, options.large, options.rounds)
    holds = {name: found[name] <= bound for name, bound in BOUNDS.items()}
    text = json.dumps({"machine": machine(), **found, "bounds": BOUNDS, "holds": holds}, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
