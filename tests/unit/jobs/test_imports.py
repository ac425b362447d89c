"""What the API imports of jobs and usage does not bring Ray along."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import pagemill.jobs.dispatcher, pagemill.jobs.listener, pagemill.jobs.queue
import pagemill.usage.combiner, pagemill.usage.counting, pagemill.usage.reservation_store
print(sorted({"ray", "torch", "onnxruntime"} & set(sys.modules)))
"""


def test_jobs_and_counting_do_not_import_ray() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
