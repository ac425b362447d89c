"""Run as a module by its parent only: forks a bounded child for each rendition.

This process never looks at untrusted bytes. It has the parsers loaded, so that a child takes milliseconds to
begin; and each child parses one document and is gone, so that no document meets another one's bytes.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys

import msgspec

from pagemill.documents.thumbnails.lighter import lighter
from pagemill.documents.thumbnails.messages import (
    MEMORY_BYTES,
    READY,
    SECONDS,
    Picture,
    RenderReply,
    RenderRequest,
)
from pagemill.documents.thumbnails.pictures import render
from pagemill.errors import DocumentUnreadable
from pagemill.sandbox.confinement import HEADER, confine, receive_exactly

OUT_OF_MEMORY = "The document needs more memory to render than is allowed"
DAMAGED = "The document is damaged: it cannot be rendered"


def main() -> None:
    """Fork for each connection that comes over the socket in the first argument, until the parent goes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    # Nobody waits for children: the kernel buries them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    control.sendall(READY)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        for descriptor in descriptors:
            _fork(control, descriptor)


def _fork(control: socket.socket, descriptor: int) -> None:
    try:
        process_id = os.fork()
    except OSError:
        process_id = -1
    if process_id != 0:
        # Closed here, the connection ends with the child; without a child, at once.
        os.close(descriptor)
        return
    try:
        control.close()
        _serve(socket.socket(fileno=descriptor))
    finally:
        os._exit(0)


def _serve(connection: socket.socket) -> None:
    """One rendition, within bounds that the kernel keeps."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    confine(MEMORY_BYTES)
    (length,) = HEADER.unpack(receive_exactly(connection, HEADER.size))
    request = msgspec.msgpack.decode(receive_exactly(connection, length), type=RenderRequest)
    rendered, problem = b"", None
    try:
        rendered = _rendered(request, bytes(receive_exactly(connection, request.size)))
    except DocumentUnreadable as error:
        problem = error.message
    except MemoryError:
        problem = OUT_OF_MEMORY
    except Exception:  # noqa: BLE001 - parsers of untrusted bytes fail in ways that nobody lists
        problem = DAMAGED
    reply = msgspec.msgpack.encode(RenderReply(size=len(rendered), problem=problem))
    connection.sendall(HEADER.pack(len(reply)) + reply)
    connection.sendall(rendered)


def _rendered(request: RenderRequest, content: bytes) -> bytes:
    if isinstance(request.rendition, Picture):
        return render(content, request.content_type, request.rendition)
    return lighter(content)


if __name__ == "__main__":
    main()
