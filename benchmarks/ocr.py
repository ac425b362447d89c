"""Word F1 and speed of the page reader on scanned receipts, against their reference transcription.

python benchmarks/ocr.py --data DIR --sample 40 --out benchmarks/results/ocr.json
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.machine import machine
from pagemill.extraction.reading import PageReader
from pagemill.extraction.types import ReadOptions

SEED = 20260101


def main() -> None:
    """Read a fixed random sample of DIR/sroie and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=40)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    figures = measure(arguments.data / "sroie", arguments.sample)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


def measure(folder: Path, sample: int) -> dict[str, object]:
    """Return pooled and mean word F1, and pages per second of one reader, without its start."""
    references = json.loads((folder / "given_ocr_lines.json").read_text())
    documents = sorted(path for path in folder.iterdir() if path.stem in references)
    chosen = random.Random(SEED).sample(documents, min(sample, len(documents)))
    matched = found = expected = 0
    scores: list[float] = []
    seconds: list[float] = []
    with PageReader() as reader:
        reader.read(chosen[0].read_bytes(), [0], ReadOptions())
        worked = cpu_seconds(reader)
        for path in chosen:
            started = time.perf_counter()
            reading = reader.read(path.read_bytes(), [0], ReadOptions())
            seconds.append(time.perf_counter() - started)
            read = bag(word.text for page in reading.pages for word in page.words)
            reference = bag(line["text"] for line in references[path.stem]["lines"])
            common = (read & reference).total()
            scores.append(f1(common, read.total(), reference.total()))
            matched, found, expected = matched + common, found + read.total(), expected + reference.total()
        worked = cpu_seconds(reader) - worked
    return {
        "benchmark": "ocr",
        "documents": len(chosen),
        "word_f1": round(f1(matched, found, expected), 4),
        "word_f1_mean_per_document": round(statistics.fmean(scores), 4),
        "word_precision": round(matched / found, 4),
        "word_recall": round(matched / expected, 4),
        "pages_per_second": round(len(chosen) / sum(seconds), 3),
        "seconds_per_page_median": round(statistics.median(seconds), 3),
        "seconds_per_page_max": round(max(seconds), 3),
        "cpu_seconds_per_page": round(worked / len(chosen), 3),
        "machine": machine(),
    }


def cpu_seconds(reader: PageReader) -> float:
    """Return the CPU seconds of this process and the reader's children, whatever the load of the machine."""
    return time.process_time() + reader.child_processor_seconds


def bag(texts: Iterable[str]) -> Counter[str]:
    """Return the alphanumeric words in lower case, with their counts."""
    return Counter(word for text in texts for word in re.findall(r"[a-z0-9]+", text.lower()))


def f1(common: int, found: int, expected: int) -> float:
    """Return the harmonic mean of precision and recall."""
    return 2 * common / (found + expected) if found + expected else 1.0


if __name__ == "__main__":
    main()
