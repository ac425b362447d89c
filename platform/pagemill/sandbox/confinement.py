"""Bounds of a child process that parses untrusted bytes: its environment and its resources."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import warnings

# Children see none of the secrets that settings keep in the environment.
ENVIRONMENT_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
FIRST_TO_GO = b"1000"
# Most of the kernel's time for a short child is its pages of memory: a third less in large ones.
# Other C libraries ignore this.
ALLOCATOR = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def child_environment() -> dict[str, str]:
    """Return the environment of a child: enough to import what its parent can import."""
    kept = {name: os.environ[name] for name in ENVIRONMENT_KEPT if name in os.environ}
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    search_path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**kept, **one_thread, **ALLOCATOR, "PYTHONPATH": search_path, "PYTHONDONTWRITEBYTECODE": "1"}


def confine(memory_bytes: int, *, processor_seconds: int | None = None, file_bytes: int = 0) -> None:
    """Limit this process: its memory, perhaps its processor time, no files or small ones, no core dumps."""
    # Where memory is short, the kernel ends this process rather than its parent.
    with contextlib.suppress(OSError):
        # Without a file object of Python's, whose parts a fresh child would have to copy.
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        try:
            os.write(score, FIRST_TO_GO)
        finally:
            os.close(score)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    if processor_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (processor_seconds, processor_seconds))
    # Nobody reads a child's warnings: standard error is closed, and they must not become failures.
    warnings.simplefilter("ignore")
