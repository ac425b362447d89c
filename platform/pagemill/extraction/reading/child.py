"""A child of the reader: it enters its sandbox, parses one document, and ends."""

from __future__ import annotations

import gc
import math
import socket
from collections.abc import Sequence

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.open_document import OpenDocument, open_document
from pagemill.extraction.reading.read_messages import (
    DocumentInfo,
    Open,
    ParsePage,
    ReadFailure,
    RenderedPage,
    RenderPage,
    Reply,
    receive_request,
    send,
)
from pagemill.extraction.reading.shared_pixels import SharedPixels
from pagemill.sandbox.confinement import Sandbox

OUT_OF_MEMORY = "The document needs more memory to read than is allowed"
DAMAGED = "The document is damaged: it cannot be read"
TRUNCATED = "image file is truncated"
"""The one text of a parser that a client understands: an upload that was cut short."""
MOST_DETAIL = 160
OBJECTS_BETWEEN_COLLECTIONS = 200_000
"""A page makes thousands of objects and no cycles: to look for these every 700 takes a fifth of the time."""


def serve_document(connection: socket.socket, descriptors: Sequence[int], sandbox: Sandbox) -> None:
    """Answer the requests for one document; its pixels go to the memory in the first descriptor."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    request = receive_request(connection)
    assert isinstance(request, Open)
    seconds = math.ceil(request.limits.document_seconds) + 1
    sandbox.enter(request.limits.memory_bytes, processor_seconds=seconds)
    try:
        _serve(connection, request, descriptors[0])
    except (EOFError, ConnectionError):
        return
    except DocumentUnreadable as error:
        send(connection, ReadFailure(error.message))
    except MemoryError:
        send(connection, ReadFailure(OUT_OF_MEMORY))
    except Exception as error:  # noqa: BLE001 - parsers of untrusted bytes fail in ways that nobody lists
        send(connection, failure_of(error))


def failure_of(error: Exception) -> ReadFailure:
    """Return the failure for what a parser has raised; its own words are for the operator only."""
    said = str(error)
    cause = said.splitlines()[0] if said else ""
    detail = f"{type(error).__name__}: {cause}"[:MOST_DETAIL]
    if isinstance(error, OSError) and cause.startswith(TRUNCATED):
        return ReadFailure(f"The document is damaged: {TRUNCATED}", detail)
    return ReadFailure(DAMAGED, detail)


def _serve(connection: socket.socket, request: Open, descriptor: int) -> None:
    pixels = SharedPixels(descriptor)
    limits = request.limits
    with open_document(request.content, limits) as document:
        if document.number_of_pages > limits.pages:
            raise DocumentUnreadable(limits.too_many_pages)
        send(connection, DocumentInfo(document.content_type, document.number_of_pages))
        while True:
            asked = receive_request(connection)
            assert isinstance(asked, ParsePage | RenderPage)
            send(connection, _answer(document, asked, pixels))


def _answer(document: OpenDocument, asked: ParsePage | RenderPage, pixels: SharedPixels) -> Reply:
    if isinstance(asked, ParsePage):
        pixels.clear()
        return document.parse_page(asked.index, asked.options, pixels)
    pixels.clear()
    return RenderedPage(pixels.write(document.render_page(asked.index, asked.options)))
