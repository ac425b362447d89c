"""What the layout of the repository must never break."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_platform_does_not_shadow_the_standard_library() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = "import platform, uuid; print(platform.python_version(), uuid.uuid4())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_processes_of_ray_start_without_a_parser_that_they_never_use() -> None:
    """It takes two seconds of each; ``make install`` removes it."""
    assert importlib.util.find_spec("rfc3987_syntax") is None
