"""Fork server of the renderer, and the child that makes one thumbnail. Run as a module by its parent.

The server never looks at untrusted bytes. It has the parsers loaded, so that a child starts in milliseconds;
each child parses one document and ends, so that no document meets the bytes of another.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

import msgspec

from pagemill.documents.thumbnails.light_pdfs import make_light_pdf
from pagemill.documents.thumbnails.page_images import make_page_image
from pagemill.documents.thumbnails.render_messages import (
    MEMORY_BYTES,
    RENDER_SECONDS,
    RenderReply,
    RenderRequest,
)
from pagemill.documents.thumbnails.thumbnail import PageImage
from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.preloading import preload_parsers
from pagemill.sandbox.confinement import Sandbox
from pagemill.sandbox.fork_server import serve_forks
from pagemill.sandbox.framing import receive_exactly, receive_message, send_message
from pagemill.sandbox.profile import PARSER

OUT_OF_MEMORY = "The document needs more memory to render than is allowed"
DAMAGED = "The document is damaged: it cannot be rendered"


def main() -> None:
    """Fork for the parent on the socket whose descriptor is the first argument, until it goes."""
    sandbox = Sandbox(PARSER)
    preload_parsers(fonts=sandbox.opens_files)
    serve_forks(socket.socket(fileno=int(sys.argv[1])), serve_thumbnail, sandbox)


def serve_thumbnail(connection: socket.socket, _descriptors: Sequence[int], sandbox: Sandbox) -> None:
    """Make one thumbnail, within bounds that the kernel enforces."""
    sandbox.enter(MEMORY_BYTES, processor_seconds=RENDER_SECONDS)
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
