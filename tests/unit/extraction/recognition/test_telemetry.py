"""Nobody is told that pages are recognised here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COUNT_THREADS = 'import os; print(len(os.listdir("/proc/self/task")))'
LIBRARIES = "import numpy, onnx"
MODELS = "from pagemill.extraction.recognition.models import *"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted as Linux shows them")
def test_the_runtime_keeps_no_id_and_starts_no_thread_that_tells(tmp_path: Path) -> None:
    """A runtime that tells does it from a thread of its own, which writes an id at some time."""
    without, home = tmp_path / "without", tmp_path / "home"

    assert threads_after(MODELS, home) == threads_after(LIBRARIES, without)
    assert list(home.iterdir()) == []


def threads_after(imports: str, home: Path) -> int:
    """Import in a home of their own; return how many threads there are then."""
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment = {**kept, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    program = f"{imports}\n{COUNT_THREADS}"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)
