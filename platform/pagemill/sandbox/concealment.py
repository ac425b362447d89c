"""Concealment of a process that holds keys from others of the same user."""

from __future__ import annotations

import ctypes
import sys

_PR_SET_DUMPABLE = 4


def conceal_this_process() -> None:
    """Keep other processes of the same user out of this one's environment and memory (on Linux).

    It holds until another program is executed; processes that are started have to do it themselves.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)
