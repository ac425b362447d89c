"""Fork server of the renderer: it forks a confined child for each thumbnail. Run as a module by its parent.

The server never looks at untrusted bytes. It has the parsers loaded, so that a child starts in milliseconds;
each child parses one document and ends, so that no document meets the bytes of another.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

import msgspec

from pagemill.documents.thumbnails.light_pdfs import make_light_pdf
from pagemill.documents.thumbnails.page_images import make_page_image
from pagemill.documents.thumbnails.render_messages import (
    MEMORY_BYTES,
    READY,
    RENDER_SECONDS,
    RenderReply,
    RenderRequest,
)
from pagemill.documents.thumbnails.thumbnail import PageImage
from pagemill.errors import DocumentUnreadable
from pagemill.sandbox.confinement import confine
from pagemill.sandbox.framing import receive_exactly, receive_message, send_message

OUT_OF_MEMORY = "The document needs more memory to render than is allowed"
DAMAGED = "The document is damaged: it cannot be rendered"


def main() -> None:
    """Fork for each connection that comes over the socket in the first argument, until the parent ends."""
    control = socket.socket(fileno=int(sys.argv[1]))
    # Nobody waits for children: the kernel removes them when they end.
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
    """Make one thumbnail, within bounds that the kernel enforces."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(RENDER_SECONDS)
    confine(MEMORY_BYTES, processor_seconds=RENDER_SECONDS)
    request = msgspec.msgpack.decode(receive_message(connection), type=RenderRequest)
    rendered, problem = b"", None
    try:
        rendered = _render(request, bytes(receive_exactly(connection, request.size)))
    except DocumentUnreadable as error:
        problem = error.message
    except MemoryError:
        problem = OUT_OF_MEMORY
    except Exception:  # noqa: BLE001 - parsers of untrusted bytes fail in ways that nobody lists
        problem = DAMAGED
    send_message(connection, msgspec.msgpack.encode(RenderReply(size=len(rendered), problem=problem)))
    connection.sendall(rendered)


def _render(request: RenderRequest, content: bytes) -> bytes:
    if isinstance(request.thumbnail, PageImage):
        return make_page_image(content, request.content_type, request.thumbnail)
    return make_light_pdf(content)


if __name__ == "__main__":
    main()
