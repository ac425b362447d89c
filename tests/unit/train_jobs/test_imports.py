"""The process of a data bundle does not import large libraries that it does not use."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import train_jobs.bundle
print(sorted({"torch", "onnxruntime", "PIL", "pypdfium2"} & set(sys.modules)))
"""


def test_bundling_does_not_import_torch() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
