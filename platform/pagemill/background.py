"""Background work: threads that use the processor only while nothing else wants it."""

from __future__ import annotations

import os


def stay_in_background() -> None:
    """Give way to all other threads from now on: this thread, and processes that it starts.

    It is irrevocable without privileges. Systems other than Linux do not have it: there, nothing changes.
    """
    if hasattr(os, "SCHED_IDLE"):
        # 0 is the calling thread, not its process.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
