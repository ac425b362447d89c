"""Child process of the reader: it confines itself, then parses documents. Run as a module by its parent."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time

from pagemill.errors import DocumentUnreadable
from pagemill.extraction.reading.ocr import Recognizer
from pagemill.extraction.reading.open_document import open_document
from pagemill.extraction.reading.read_messages import (
    AllPagesRead,
    DocumentInfo,
    InspectRequest,
    PageRead,
    ReadFailure,
    ReadLimits,
    ReadRequest,
    Ready,
    Start,
    receive_request,
    send,
)
from pagemill.sandbox.confinement import confine

MAX_CAUSE_LENGTH = 160
_SHOWN_OBJECT = re.compile(r"\s*<[^<>]* at 0x[0-9a-f]+>")
OUT_OF_MEMORY = "The document needs more memory to read than is allowed"
# How onnxruntime and OpenCV, which raise no MemoryError, say that an allocation failed.
MEMORY_SIGNS = ("failed to allocate", "bad_alloc", "bad allocation", "insufficient memory")


def main() -> None:
    """Serve requests on the socket whose descriptor is the first argument, until the parent goes."""
    _exit_with_parent(os.getppid())
    connection = socket.socket(fileno=int(sys.argv[1]))
    start = receive_request(connection)
    assert isinstance(start, Start)
    confine(start.limits.memory_bytes)
    send(connection, Ready())
    recognizer = Recognizer()
    while True:
        try:
            request = receive_request(connection)
        except (EOFError, ConnectionError):
            return
        assert isinstance(request, InspectRequest | ReadRequest)
        failure = _attempt(connection, request, start.limits, recognizer)
        if failure is not None:
            send(connection, failure)


def _exit_with_parent(parent: int) -> None:
    """End with the parent: a busy child does not notice that the socket of a killed parent closes."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _attempt(
    connection: socket.socket,
    request: InspectRequest | ReadRequest,
    limits: ReadLimits,
    recognizer: Recognizer,
) -> ReadFailure | None:
    try:
        _answer(connection, request, limits, recognizer)
    except DocumentUnreadable as error:
        return ReadFailure(error.message)
    except MemoryError:
        return ReadFailure(OUT_OF_MEMORY, fatal=True)
    except Exception as error:  # noqa: BLE001 - parsers of untrusted bytes fail in ways that nobody lists
        if any(sign in str(error).lower() for sign in MEMORY_SIGNS):
            return ReadFailure(OUT_OF_MEMORY, fatal=True)
        return ReadFailure(f"The document is damaged: {describe(error)}")
    return None


def describe(error: Exception) -> str:
    """Return the first line of an error for the user, without the objects that parsers show in it."""
    lines = _SHOWN_OBJECT.sub("", str(error)).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:MAX_CAUSE_LENGTH]


def _answer(
    connection: socket.socket,
    request: InspectRequest | ReadRequest,
    limits: ReadLimits,
    recognizer: Recognizer,
) -> None:
    with open_document(request.content, limits, recognizer) as document:
        count = document.number_of_pages
        if count > limits.pages:
            raise DocumentUnreadable(f"The document has more than {limits.pages} pages")
        send(connection, DocumentInfo(document.content_type, count))
        if isinstance(request, InspectRequest):
            return
        for index in request.page_indexes:
            if 0 <= index < count:
                send(connection, PageRead(document.read_page(index, request.options)))
        send(connection, AllPagesRead())


if __name__ == "__main__":
    main()
