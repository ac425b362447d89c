"""Memory of all processes of a stack before and after so many pages."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.serving_documents import Source, sources_of_pages
from benchmarks.serving_stack import ServingStack
from benchmarks.stacks import process_name

SETTLING_SECONDS = 5.0
BATCH_PAGES = 200
MEBIBYTE = 1024**2
LEAST_BYTES = 16 * MEBIBYTE
"""In smaller processes a single allocation is a percent; they are counted together."""
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Growth:
    """Memory of one process in bytes, before and after."""

    name: str
    before: int
    after: int

    @property
    def percent(self) -> float:
        """Growth in percent of what it had before."""
        return 100.0 * (self.after - self.before) / self.before


def memory_growth(
    serving: ServingStack, sources: list[Source], warm_up: int, pages: int, advance: Callable[[], object]
) -> dict[str, Any]:
    """Upload and predict so many pages to warm up, then so many more; return how processes grew."""
    _serve_pages(serving, sources, warm_up, advance)
    before = _memory(serving)
    began = time.perf_counter()
    served = _serve_pages(serving, sources, pages, advance)
    seconds = time.perf_counter() - began
    after = _memory(serving)
    return {
        "pages": served,
        "warmUpPages": warm_up,
        "pagesPerSecondWithUpload": round(served / seconds, 1),
        **summary(growths(before, after)),
        "appeared": sorted({process_name(process) for process in after.keys() - before.keys()}),
    }


def growths(before: Mapping[psutil.Process, int], after: Mapping[psutil.Process, int]) -> list[Growth]:
    """Return the growth of each process that was there all the time; small ones are one."""
    names = {process: process_name(process) for process in before.keys() & after.keys()}
    large = [process for process in names if before[process] >= LEAST_BYTES]
    small = names.keys() - set(large)
    found = [Growth(names[process], before[process], after[process]) for process in large]
    if small:
        sums = (sum(memory[process] for process in small) for memory in (before, after))
        found.append(Growth(f"{len(small)} small processes", *sums))
    return sorted(found, key=lambda growth: -growth.percent)


def summary(grown: Iterable[Growth]) -> dict[str, Any]:
    """Return the figures: the process that grew most is first."""
    grown = list(grown)
    return {
        "percent": round(grown[0].percent, 2),
        "grewMost": grown[0].name,
        "processes": [
            {
                "name": one.name,
                "mebibytes": round(one.before / MEBIBYTE, 1),
                "grewPercent": round(one.percent, 2),
            }
            for one in grown[:SHOWN]
        ],
    }


def _serve_pages(
    serving: ServingStack, sources: list[Source], pages: int, advance: Callable[[], object]
) -> int:
    """Upload and predict in batches, so that no more documents wait than connections."""
    left = list(sources_of_pages(sources, pages))
    served = 0
    while left:
        batch: list[Source] = []
        while left and sum(source.pages for source in batch) < BATCH_PAGES:
            batch.append(left.pop())
        served += serving.predict_all(serving.upload(batch)).pages
        advance()
    return served


def _memory(serving: ServingStack) -> dict[psutil.Process, int]:
    """Return the proportional set size of each process, when what was begun is done."""
    gc.collect()
    time.sleep(SETTLING_SECONDS)
    found = {}
    for process in serving.stack.processes():
        with suppress(psutil.Error):
            found[process] = process.memory_full_info().pss
    return found
