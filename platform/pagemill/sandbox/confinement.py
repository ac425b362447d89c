"""What child processes that parse untrusted bytes have in common: what they see, and what they may take."""

from __future__ import annotations

import os
import resource
import socket
import struct
import sys
import warnings

HEADER = struct.Struct(">I")
"""In front of each message: its length."""
# Children see none of the secrets that settings keep in the environment.
ENVIRONMENT_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


def child_command(module: str, descriptor: int) -> list[str]:
    """Runs a module that takes an inherited descriptor as its argument."""
    return [sys.executable, "-P", "-m", module, str(descriptor)]


def child_environment() -> dict[str, str]:
    """The environment of a child: enough to import what its parent can import."""
    kept = {name: os.environ[name] for name in ENVIRONMENT_KEPT if name in os.environ}
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    search_path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**kept, **one_thread, "PYTHONPATH": search_path, "PYTHONDONTWRITEBYTECODE": "1"}


def confine(memory_bytes: int) -> None:
    """Bound this process: so much memory, no files, no core dumps."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # Nobody reads a child's warnings: standard error is closed, and they must not become failures.
    warnings.simplefilter("ignore")


def receive_exactly(connection: socket.socket, length: int) -> bytearray:
    """Exactly ``length`` bytes. Raises EOFError when the other side is gone."""
    received = bytearray(length)
    view = memoryview(received)
    position = 0
    while position < length:
        count = connection.recv_into(view[position:])
        if count == 0:
            raise EOFError
        position += count
    return received
