"""Pages a second of the engine on a GPU, and on one core of the same machine.

python -m benchmarks.reading_device --data DIR [--sample 40] measures what the engine chooses by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

CUDA = "CUDAExecutionProvider"
MISSING = "onnxruntime offers no CUDA here"
BATCH_THREADS = 4
"""Requests that are under way at a time: a GPU is fed by several."""
MEASURE_SECONDS = 3600.0


def main() -> None:
    """Print pages a second as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=40)
    parser.add_argument("--one-core", action="store_true")
    arguments = parser.parse_args()
    if arguments.one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps(measure(arguments.data, arguments.sample, 1 if arguments.one_core else BATCH_THREADS)))


def measure(data: Path, sample: int, threads: int) -> dict[str, object]:
    """Return the pages a second of receipts that are decoded."""
    import numpy as np

    from benchmarks.reading_batch import bare_seconds, decoded
    from benchmarks.reading_engine import bare_engine
    from benchmarks.reading_sides import sample_receipts

    pages = decoded([path.read_bytes() for path in sample_receipts(data / "sroie", sample).paths])
    engine, started = bare_engine(threads), time.perf_counter()
    engine.words(pages[0], "LOW")
    warming = time.perf_counter() - started
    bare_seconds(engine, pages[: 2 * threads], threads, decode=np.asarray)
    seconds = bare_seconds(engine, pages, threads, decode=np.asarray)
    return {
        "engineDevice": str(engine.device),
        "pagesPerSecond": round(len(pages) / seconds, 2),
        "firstPageSeconds": round(warming, 2),
    }


def measure_gpu(data: Path, sample: int) -> dict[str, object]:
    """Measure both in processes of their own: no GPU is visible to that of the core."""
    import onnxruntime

    if CUDA not in onnxruntime.get_available_providers():
        return {"skipped": MISSING}
    device = device_name()
    if device is None:
        return {"skipped": "there is no GPU"}
    gpu = _in_process(data, sample, [], {})
    core = _in_process(data, sample, ["--one-core"], {"CUDA_VISIBLE_DEVICES": ""})
    return {"device": device, **gpu, "oneCore": core}


def device_name() -> str | None:
    """Return the name of the first GPU, None without one."""
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    names = done.stdout.decode().split("\n")
    return names[0].strip() or None


def _in_process(
    data: Path, sample: int, options: list[str], environment: Mapping[str, str]
) -> dict[str, object]:
    command = [sys.executable, "-m", "benchmarks.reading_device", "--data", str(data)]
    done = subprocess.run(
        [*command, "--sample", str(sample), *options],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        check=True,
        timeout=MEASURE_SECONDS,
    )
    figures: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    main()
