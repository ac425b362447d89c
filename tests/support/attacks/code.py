"""Execution of an attack: its code is the document, its result or its failure becomes the reply.

Everything that attacks use is imported before children are forked: in a sandbox it could not be any more.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import mmap
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from pagemill.sandbox.system_calls import architecture, number_of

LIBRARY = ctypes.CDLL(None, use_errno=True)
# No child may make the memory of callbacks executable.
_THREAD = ctypes.CFUNCTYPE(None)(lambda: None)
SEEN: list[object] = []
"""What an attack leaves for those that come after it."""


def call(name: str, *arguments: Any) -> str:
    """Call the kernel as shellcode would; return the name of the error, or what was returned."""
    number = number_of(name, architecture())
    if number is None:
        return "EPERM"  # this machine has no such call: the kernel has nothing to refuse
    passed = [one if isinstance(one, ctypes.Array | bytes) else ctypes.c_long(one) for one in arguments]
    result = LIBRARY.syscall(ctypes.c_long(number), *passed)
    return errno.errorcode[ctypes.get_errno()] if result < 0 else str(result)


def connection() -> socket.socket:
    """Return the connection to the parent."""
    return next(one for one in gc.get_objects() if isinstance(one, socket.socket))


NAMES = {
    module.__name__: module
    for module in (
        ctypes,
        errno,
        gc,
        mmap,
        os,
        pathlib,
        resource,
        signal,
        socket,
        subprocess,
        sys,
        threading,
        time,
    )
} | {"call": call, "connection": connection, "SEEN": SEEN}


def run_attack(content: bytes) -> str:
    """Return the value of the last line of a program, or the name of the error that it raised."""
    *lines, last = bytes(content).decode().strip().splitlines()
    names = dict(NAMES)
    try:
        exec("\n".join(lines), names)
        return str(eval(last, names))
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    except Exception as error:  # noqa: BLE001 - attacks fail in all ways
        return f"{type(error).__name__}: {error}"
