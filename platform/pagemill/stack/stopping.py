"""``pagemill down``: stopping the stack of another process."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from pagemill.stack.directory import DataDirectory, StackError
from pagemill.stack.processes import end_marked
from pagemill.stack.reachable import server_directory

STOP_SECONDS = 60.0
POLL_SECONDS = 0.1


def stop_stack(directory: DataDirectory) -> bool:
    """Stop the stack and wait until it is gone; return False when none ran. Raises StackError."""
    if not directory.path.is_dir():
        return False
    supervisor = directory.supervisor()
    if supervisor is not None:
        _ask_to_end(directory, supervisor)
    with directory.lock():
        data = server_directory(directory.postgres) / "data"
        return end_marked(directory.marker, data) > 0 or supervisor is not None


def _ask_to_end(directory: DataDirectory, supervisor: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(supervisor, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while directory.supervisor() is not None:
        if time.monotonic() > deadline:
            raise StackError(
                f"process {supervisor} did not end within {STOP_SECONDS:g} s, see {directory.logs}"
            )
        time.sleep(POLL_SECONDS)
