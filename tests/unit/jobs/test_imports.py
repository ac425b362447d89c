"""Jobs, their kinds and usage are imported by the API, so they import neither Ray nor extraction."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import pagemill.jobs.dispatcher, pagemill.jobs.queue, pagemill.jobs.waiting, pagemill.work.kinds
import pagemill.usage.combiner, pagemill.usage.counting, pagemill.usage.reservation_store
print(sorted({"ray", "torch", "onnxruntime", "pagemill.extraction"} & set(sys.modules)))
"""


def test_jobs_and_counting_do_not_import_ray() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
