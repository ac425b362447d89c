"""Nobody is told that pages are recognised here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PREPARED = """
import os
from pagemill.extraction.recognition.models import *
print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted as Linux shows them")
def test_the_runtime_keeps_no_id_and_starts_no_thread_that_tells(tmp_path: Path) -> None:
    quiet = threads(tmp_path / "quiet", {})
    telling = threads(tmp_path / "telling", {"ORT_DISABLE_TELEMETRY": "0"})

    assert list((tmp_path / "quiet").iterdir()) == []
    assert list((tmp_path / "telling").rglob("deviceid")) != []
    assert quiet < telling


def threads(home: Path, changed: dict[str, str]) -> int:
    """Load the models in a home of their own; return how many threads there are."""
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment = {**kept, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), **changed}
    done = subprocess.run(
        [sys.executable, "-c", PREPARED], env=environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)
