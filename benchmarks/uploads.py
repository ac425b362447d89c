"""Memory that uploads add to a server."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.api_servers import Server

MEGABYTE = 1_000_000
SAMPLE_SECONDS = 0.005
PIECE = os.urandom(256 * 1024)
UPLOAD_SECONDS = 300.0


class UploadError(RuntimeError):
    """The server did not take an upload."""


def upload(port: int, path: str, token: str, size: int) -> None:
    """PUT this many bytes that begin like a PDF. Raises UploadError."""
    head = (
        f"PUT {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Length: {size}\r\nConnection: close\r\n\r\n%PDF-1.7\n"
    ).encode()
    left = size - len(b"%PDF-1.7\n")
    with socket.create_connection(("127.0.0.1", port), timeout=UPLOAD_SECONDS) as connection:
        connection.sendall(head)
        while left > 0:
            piece = PIECE[:left]
            connection.sendall(piece)
            left -= len(piece)
        answer = connection.recv(4096)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise UploadError(answer.decode(errors="replace"))


def megabytes_added(server: Server, paths: Sequence[str], token: str, size: int) -> tuple[float, float]:
    """Return the most memory that the server added while ``paths`` were uploaded at once, and seconds."""
    before = server.memory()
    failures: list[Exception] = []

    def one(path: str) -> None:
        try:
            upload(server.port, path, token, size)
        except (OSError, UploadError) as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(path,)) for path in paths]
    began = time.perf_counter()
    with highest_memory(server) as samples:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    seconds = time.perf_counter() - began
    if failures:
        raise failures[0]
    return (max(samples) - before) / MEGABYTE, seconds


@contextmanager
def highest_memory(server: Server) -> Iterator[list[int]]:
    """Return the server's highest memory meanwhile."""
    samples = [server.memory()]
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            samples.append(server.memory())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()
