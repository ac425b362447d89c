"""Speed and word F1 of reading: receipts, text layers, a replica, fresh children, the sandbox, a GPU.

python benchmarks/reading.py --data DIR [--sample 40] [--out benchmarks/results/reading.json]

DIR holds sroie/ (scanned receipts with a transcription) and adbuy/ (PDFs with text layers). On receipts
the reader stands beside the one before it and beside Tesseract, page by page in the same run.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.previous_reading import PreviousReading
from benchmarks.progress import progress_bar
from benchmarks.reading_batch import measure_batch
from benchmarks.reading_children import measure_fresh_child, measure_text_layers
from benchmarks.reading_device import measure_gpu
from benchmarks.reading_engine import bare_engine, replica_recognizer
from benchmarks.reading_sandbox import ROUNDS as SANDBOX_ROUNDS
from benchmarks.reading_sandbox import measure_sandbox
from benchmarks.reading_sides import CurrentReading, Receipts, Side, compare, sample_receipts
from benchmarks.servers import write_figures
from benchmarks.tesseract import MISSING, find_tesseract, version
from pagemill.extraction.reading import PageReader

BATCH_ROUNDS = 3
AT_LEAST: Mapping[str, float] = {"wordF1": 0.95, "batch.ratio": 0.95, "textPagesPerSecondPerCore": 100}
AT_MOST: Mapping[str, float] = {
    "cpuSecondsPerPage": 1.1,
    "freshChildMilliseconds": 30,
    "sandbox.cpuRatio": 1.03,
}

Figures = dict[str, Any]


def main() -> None:
    """Measure and write the figures as JSON; exit 1 when a target is not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=40, help="receipts that are read")
    parser.add_argument("--layers", type=int, help="at most so many PDFs with text layers, for a quick try")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of the replica")
    parser.add_argument("--rounds", type=int, default=BATCH_ROUNDS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/reading.json"))
    arguments = parser.parse_args()
    receipts = sample_receipts(arguments.data / "sroie", arguments.sample)
    figures: Figures = {"benchmark": "reading", "machine": machine(), "receipts": len(receipts.paths)}
    layers = sorted((arguments.data / "adbuy").glob("*.pdf"))[: arguments.layers]
    figures |= measure_reader(receipts, layers)
    documents = [*layers, *receipts.paths]
    with progress_bar("sandbox", SANDBOX_ROUNDS * len(documents)) as advance:
        figures["sandbox"] = measure_sandbox(documents, advance)
    contents = [path.read_bytes() for path in receipts.paths]
    with progress_bar("replica and bare engine", 2 * arguments.rounds) as advance:
        figures["batch"] = measure_batch(contents, arguments.threads, arguments.rounds, advance)
    figures["gpu"] = measure_gpu(arguments.data, arguments.sample)
    figures["targets"] = targets(figures)
    write_figures(figures, arguments.out)
    sys.exit(0 if all(one["passed"] for one in figures["targets"].values()) else 1)


def measure_reader(receipts: Receipts, layers: list[Path]) -> Figures:
    """Return the figures of one reader, beside the one before it and Tesseract."""
    recognizer = replica_recognizer(bare_engine(threads=1))
    with PageReader(recognizer=recognizer) as reader:
        figures = measure_receipts(reader, receipts)
        small = min(layers, key=lambda path: path.stat().st_size)
        figures |= measure_fresh_child(reader, small.read_bytes())
    with progress_bar("text layers", len(layers)) as advance:
        return figures | measure_text_layers(recognizer, layers, advance)


def measure_receipts(reader: PageReader, receipts: Receipts) -> Figures:
    """Return word F1 and seconds of each side."""
    tesseract = find_tesseract()
    sides: dict[str, Side] = {"current": CurrentReading(reader), "previous": PreviousReading()}
    if tesseract is not None:
        sides["tesseract"] = tesseract
    with progress_bar("receipts", len(receipts.paths)) as advance:
        measured = compare(sides, receipts, advance)
    figures: Figures = {**measured["current"].figures(), "previous": measured["previous"].figures()}
    ratio = figures["cpuSecondsPerPage"] / figures["previous"]["cpuSecondsPerPage"]
    figures["cpuSecondsOfPrevious"] = round(ratio, 3)
    figures["tesseract"] = (
        {"version": version(), **measured["tesseract"].figures()} if tesseract else {"skipped": MISSING}
    )
    return figures


def targets(figures: Mapping[str, Any]) -> dict[str, Figures]:
    """Return for each target what was reached, and whether that is enough."""
    judged: dict[str, Figures] = {}
    for name, least in AT_LEAST.items():
        value = figure(figures, name)
        judged[name] = {"target": f"at least {least:g}", "reached": value, "passed": value >= least}
    for name, most in AT_MOST.items():
        value = figure(figures, name)
        judged[name] = {"target": f"at most {most:g}", "reached": value, "passed": value <= most}
    return judged


def figure(figures: Mapping[str, Any], name: str) -> float:
    """Return a figure by its name; a dot leads to one that is inside of another."""
    value: Any = figures
    for part in name.split("."):
        value = value[part]
    return float(value)


if __name__ == "__main__":
    main()
