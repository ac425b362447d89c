"""Server side of a fork server: a small prepared process that forks a fresh child for each task.

The server never looks at untrusted bytes and has one thread, so that a forked child is a clean copy of it.
Only the server signals and reaps its children: a process id cannot be used again before.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from pagemill.sandbox import kernel
from pagemill.sandbox.confinement import Sandbox
from pagemill.sandbox.framing import frame

FORK, END = b"f", b"e"
REQUEST = struct.Struct(">ci")
"""Request to the fork server: an action, and its process; the descriptors of a new child travel beside it."""
REPLY = struct.Struct(">id")
"""A process id or an exit status, and the processor seconds that a child has used."""
READY = REPLY.pack(0, 0.0)
FORK_FAILED = -1
MOST_DESCRIPTORS = 8
LARGE_ALLOCATION = 64 * 1024
"""Too large for the pieces that are kept at hand, too small for a mapping of its own."""

Serve = Callable[[socket.socket, Sequence[int], Sandbox], None]
"""Work of a child: its connection, the other descriptors that were sent for it, and its sandbox to enter."""


def serve_forks(control: socket.socket, serve: Serve, sandbox: Sandbox) -> None:
    """Fork and end children as the parent asks, until it goes. Import all that they need before."""
    sandbox.prepare()
    _tidy_memory()
    children: set[int] = set()
    try:
        control.sendall(READY + frame(msgspec.json.encode(sandbox.confinement)))
        while True:
            message, descriptors, _, _ = socket.recv_fds(control, REQUEST.size, MOST_DESCRIPTORS)
            if len(message) < REQUEST.size:
                return
            action, process_id = REQUEST.unpack(message)
            if action == FORK:
                process_id = _fork(control, descriptors, serve, sandbox)
                children.add(process_id)
                control.sendall(REPLY.pack(process_id, 0.0))
            else:
                children.discard(process_id)
                control.sendall(_end(process_id))
    finally:
        # A child ends with its server; what it has started would not.
        for process_id in children - {FORK_FAILED}:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process_id, signal.SIGKILL)


def _tidy_memory() -> None:
    """Do once what each child would do with the memory that it shares: a page that is written is copied."""
    gc.collect()
    # With a large allocation the C library joins and sorts all pieces of memory that have become free.
    bytearray(LARGE_ALLOCATION)
    # A collection of garbage does not touch what is frozen.
    gc.freeze()


def _fork(control: socket.socket, descriptors: list[int], serve: Serve, sandbox: Sandbox) -> int:
    """Return the process id of a new child, or ``FORK_FAILED``."""
    server = os.getpid()
    try:
        process_id = os.fork()
    except OSError:
        process_id = FORK_FAILED
    if process_id != 0:
        # Closed here, the connection ends with the child; without a child, at once.
        for descriptor in descriptors:
            os.close(descriptor)
        return process_id
    status = 1
    try:
        control.close()
        sandbox.separate()
        _end_with(server)
        # Held until the exit: once it closes, the parent has the child killed.
        connection = socket.socket(fileno=descriptors[0])
        serve(connection, descriptors[1:], sandbox)
        status = 0
    finally:
        os._exit(status)


def _end(process_id: int) -> bytes:
    os.kill(process_id, signal.SIGKILL)
    _, status, usage = os.wait4(process_id, 0)
    return REPLY.pack(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime)


def _end_with(server: int) -> None:
    """End this process with its server: a busy child does not notice that a socket closes."""
    if sys.platform == "linux":
        kernel.set_parent_death_signal(signal.SIGKILL)
        if os.getppid() != server:
            os._exit(1)
    else:
        threading.Thread(target=_watch, args=(server,), daemon=True).start()


def _watch(server: int) -> None:
    while os.getppid() == server:
        time.sleep(1)
    os._exit(1)
