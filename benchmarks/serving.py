"""Serving beside its references in one run: efficiency, latency, memory, and predictions beside a bundle.

python -m benchmarks.serving --data DIR [--quick] [--only SECTION ...] [--out benchmarks/results/serving.json]

DIR holds sroie/ (scans) and adbuy/ (PDFs with text layers). A stack is started as ``pagemill up`` starts it,
with as many reading replicas as there are processors. Sections that are not run keep what the file says of
them. The exit status is 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.bare_loop import BareLoop, bare_loop
from benchmarks.machine import machine
from benchmarks.progress import console, progress_bar
from benchmarks.servers import write_figures
from benchmarks.serving_documents import repeated_sources, scanned_documents, text_documents
from benchmarks.serving_efficiency import efficiency
from benchmarks.serving_interactive import latency_under_bundle
from benchmarks.serving_latency import one_page_latency
from benchmarks.serving_memory import memory_growth
from benchmarks.serving_stack import CONNECTIONS, ServingStack, serving_stack, settings_of
from benchmarks.serving_tagger import DOCUMENTS, trained_artefact
from pagemill.extraction.artefact import Artefact

LONG_PAGES = 3
PATIENCE = "600"
"""Seconds for which a request waits: one that takes longer than the default is slow, not lost."""
NO_GPU = "not run: there is no GPU here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Amounts that each section measures."""

    rounds: int
    scans: int
    texts: int
    one_page_texts: int
    warm_up_pages: int
    pages: int
    interactive: int
    interactive_at_most: int
    bundled: int


FULL = Sizes(
    rounds=3,
    scans=36,
    texts=120,
    one_page_texts=80,
    warm_up_pages=1500,
    pages=10_000,
    interactive=40,
    interactive_at_most=250,
    bundled=1000,
)
QUICK = Sizes(
    rounds=1,
    scans=10,
    texts=40,
    one_page_texts=24,
    warm_up_pages=200,
    pages=400,
    interactive=8,
    interactive_at_most=120,
    bundled=100,
)


class Benchmark:
    """The sections, on one stack and beside one bare loop."""

    def __init__(self, data: Path, sizes: Sizes, artefact: Artefact, processes: int) -> None:
        # What the tagger has learned from is left out.
        self.texts, self.scans = text_documents(data)[DOCUMENTS:], scanned_documents(data)
        self.sizes, self.artefact, self._processes = sizes, artefact, processes
        self._contexts = ExitStack()
        self._loop: BareLoop | None = None

    def __enter__(self) -> Benchmark:
        settings = {
            "PAGEMILL_READING_REPLICAS_MIN": str(self._processes),
            "PAGEMILL_READING_REPLICAS_MAX": str(self._processes),
            "PAGEMILL_PREDICTION_WAIT": PATIENCE,
        }
        self.serving = self._contexts.enter_context(serving_stack(self.artefact, settings))
        self._warm_up(self.serving)
        return self

    def __exit__(self, *_: object) -> None:
        self._contexts.close()

    @property
    def loop(self) -> BareLoop:
        """The bare loop, started with its first use and warmed up."""
        if self._loop is None:
            self._loop = self._contexts.enter_context(bare_loop(self.artefact, self._processes))
            self._loop.run([*self.scans[: 2 * self._processes], *self.texts[:CONNECTIONS]])
        return self._loop

    def efficiency(self) -> dict[str, Any]:
        """Measure scans, most of whose time is recognition."""
        sources = repeated_sources(self.scans[CONNECTIONS:], self.sizes.scans)
        return self._beside_the_loop("scans", sources)

    def text(self) -> dict[str, Any]:
        """Measure documents with a text layer."""
        sources = repeated_sources(self.texts, self.sizes.texts)
        figures = self._beside_the_loop("text layers", sources)
        cores = os.cpu_count() or 1
        return {"pagesPerSecondPerCore": round(figures["pagesPerSecond"] / cores, 1), **figures}

    def latency(self) -> dict[str, Any]:
        """Measure documents of one page with a text layer, which takes the least time of its own."""
        one_page = [source for source in self.texts if source.pages == 1]
        sources = repeated_sources(one_page, self.sizes.one_page_texts)
        with progress_bar("latency of one page", 3 * len(sources) // 4) as advance:
            return one_page_latency(self.serving, self.artefact, sources, advance)

    def memory(self) -> dict[str, Any]:
        """Measure how processes grow over many pages, of long documents: so they take less time."""
        long = [source for source in self.texts if source.pages >= LONG_PAGES]
        with progress_bar("memory", None) as advance:
            return memory_growth(self.serving, long, self.sizes.warm_up_pages, self.sizes.pages, advance)

    def interactive(self) -> dict[str, Any]:
        """Measure predictions beside a bundle."""
        one_page = [source for source in self.texts if source.pages == 1]
        kinds = {
            "scans": repeated_sources(self.scans[CONNECTIONS:], self.sizes.interactive),
            "texts": repeated_sources(one_page, self.sizes.interactive),
        }
        bundled = repeated_sources(self.texts, self.sizes.bundled)
        with progress_bar("beside a bundle", None) as advance:
            return latency_under_bundle(
                self.serving,
                kinds,
                bundled,
                self.sizes.interactive_at_most,
                lambda text: advance(f"beside a bundle: {text}"),
            )

    def _beside_the_loop(self, name: str, sources: Sequence[Any]) -> dict[str, Any]:
        loop = self.loop
        with progress_bar(name, 2 * self.sizes.rounds) as advance:
            return efficiency(self.serving, loop, sources, self.sizes.rounds, advance)

    def _warm_up(self, serving: ServingStack) -> None:
        """Have all replicas load their models."""
        with progress_bar("warming up", 1) as advance:
            sources = [*self.scans[:CONNECTIONS], *self.texts[:CONNECTIONS]]
            serving.predict_all(serving.upload(sources))
            advance()


SECTIONS: Mapping[str, Callable[[Benchmark], dict[str, Any]]] = {
    "efficiency": Benchmark.efficiency,
    "text": Benchmark.text,
    "latency": Benchmark.latency,
    "interactive": Benchmark.interactive,
    "memory": Benchmark.memory,
}
TARGETS = {
    "platformEfficiency": ("at least", 0.85),
    "textPagesPerSecondPerCore": ("at least", 20.0),
    "memoryGrowthPercent": ("at most", 2.0),
    "interactiveP95UnderBundle.ratio": ("at most", 1.5),
}


def headline(sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures that have targets, of the sections that were run, and whether they are reached."""
    figures: dict[str, Any] = {}
    if "efficiency" in sections:
        figures["platformEfficiency"] = sections["efficiency"]["ratio"]
    if "text" in sections:
        figures["textPagesPerSecondPerCore"] = sections["text"]["pagesPerSecondPerCore"]
    if "latency" in sections:
        figures["onePageLatency"] = dict(sections["latency"])
    if "memory" in sections:
        figures["memoryGrowthPercent"] = sections["memory"]["percent"]
    if "interactive" in sections:
        figures["interactiveP95UnderBundle"] = dict(sections["interactive"])
    return {**figures, "targets": targets(figures)}


def targets(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return for each figure its target, what was reached, and whether that passes."""
    found: dict[str, Any] = {}
    for name, (side, bound) in TARGETS.items():
        reached = _at(figures, name)
        if reached is not None:
            passed = reached >= bound if side == "at least" else reached <= bound
            found[name] = {"target": f"{side} {bound:g}", "reached": reached, "passed": passed}
    if latency := figures.get("onePageLatency"):
        reached, bound = latency["milliseconds"], latency["boundMilliseconds"]
        found["onePageLatency.milliseconds"] = {
            "target": "at most boundMilliseconds",
            "reached": reached,
            "passed": reached <= bound,
        }
    return found


def _at(figures: Mapping[str, Any], name: str) -> float | None:
    found: Any = figures
    for part in name.split("."):
        found = None if found is None else found.get(part)
    return found


def measure(
    data: Path, work: Path, sizes: Sizes, names: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield each named section: its name, its figures, and the settings that they were measured with."""
    work.mkdir(parents=True, exist_ok=True)
    console.print("a tagger is trained the first time (half a minute)")
    artefact = trained_artefact(data, work)
    with Benchmark(data, sizes, artefact, os.cpu_count() or 1) as benchmark:
        for name in names:
            began = time.perf_counter()
            figures = SECTIONS[name](benchmark)
            figures["secondsOfSection"] = round(time.perf_counter() - began, 1)
            yield name, figures, settings_of(benchmark.serving)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, default=Path(".pagemill-bench/serving"))
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="a few minutes, for figures that mean little")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/serving.json"))
    options = parser.parse_args(arguments)
    if not (options.data / "adbuy").is_dir() or not (options.data / "sroie").is_dir():
        parser.error(f"{options.data} has no folders adbuy and sroie: nothing can be measured")
    # Asked to end, it still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began, sizes = machine(), QUICK if options.quick else FULL
    sections = json.loads(options.out.read_text())["sections"] if options.out.exists() else {}
    passed = True
    for name, figures, settings in measure(options.data, options.work_dir, sizes, options.only):
        sections[name] = {**figures, "quick": options.quick}
        head = headline(sections)
        passed = all(target["passed"] for target in head["targets"].values())
        gpu = NO_GPU if not torch.cuda.is_available() else torch.cuda.get_device_name()
        # After each section: one that fails costs no other.
        write_figures(
            {
                "benchmark": "serving",
                **head,
                "gpu": gpu,
                "sections": sections,
                "settings": settings,
                "machine": began,
            },
            options.out,
        )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
