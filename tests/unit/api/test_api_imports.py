"""The API is no Ray process and computes nothing: it must not even import what does."""

from __future__ import annotations

import subprocess
import sys

FORBIDDEN = (
    "ray",
    "torch",
    "onnxruntime",
    "aiodocker",
    "PIL",
    "pypdfium2",
    "pagemill.extraction",
    "serve_apps",
    "train_jobs",
)

PROGRAM = f"""
import sys
import pagemill.api.app
found = [name for name in {FORBIDDEN!r} if name in sys.modules]
print(",".join(found))
"""


def test_the_api_imports_no_ray_and_no_extraction() -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == ""
