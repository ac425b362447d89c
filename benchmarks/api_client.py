"""Client of a stack's API: one kept connection, with TLS as clients have it."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from benchmarks.stacks import Stack

Item = TypeVar("Item")
Answer = TypeVar("Answer")

JSON, BYTES = "application/json", "application/octet-stream"
IDLE_SECONDS = 5.0
"""The server closes connections that have been idle for some time."""


class Caller:
    """One kept connection to the API."""

    def __init__(self, stack: Stack) -> None:
        context = ssl.create_default_context(cafile=str(stack.directory.ca_certificate))
        credentials = stack.directory.credentials()
        answer = httpx.post(
            f"{stack.state.url}/token?grant_type=client_credentials",
            auth=(credentials.client_id, credentials.client_secret),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            verify=context,
        )
        self._token = f"Bearer {answer.json()['access_token']}"
        url = urlsplit(stack.state.url)
        assert url.hostname is not None
        self._connection = http.client.HTTPSConnection(url.hostname, url.port, context=context)
        self._used = time.monotonic()

    def post(self, path: str, body: bytes) -> Any:
        """Return the answer. Raises RuntimeError when it is not 200."""
        return self._checked("POST", path, body, JSON)

    def send(self, method: str, path: str, body: object) -> Any:
        """Send JSON and return the answer. Raises RuntimeError when it is not 200."""
        return self._checked(method, path, json.dumps(body).encode(), JSON)

    def put(self, path: str, content: bytes) -> None:
        """Upload bytes. Raises RuntimeError when the answer is not 200."""
        self._checked("PUT", path, content, BYTES)

    def read(self, path: str) -> Any:
        """Return the answer to a GET. Raises RuntimeError when it is not 200."""
        return self._checked("GET", path, None, JSON)

    def get(self, path: str) -> int:
        """Return the status of the answer."""
        return self._ask("GET", path, None, JSON)[0]

    def _checked(self, method: str, path: str, body: bytes | None, content_type: str) -> Any:
        status, answer = self._ask(method, path, body, content_type)
        if status != http.client.OK:
            raise RuntimeError(f"{method} {path} answered {status}: {answer[:1000]!r}")
        return json.loads(answer) if answer else None

    def _ask(self, method: str, path: str, body: bytes | None, content_type: str) -> tuple[int, bytes]:
        if time.monotonic() - self._used > IDLE_SECONDS:
            self._connection.close()  # the next request opens it again
        headers = {"Authorization": self._token, "Content-Type": content_type}
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        self._used = time.monotonic()
        return response.status, answer


class Callers:
    """Threads with a connection each, which are kept from one use to the next."""

    def __init__(self, stack: Stack, connections: int) -> None:
        self._stack = stack
        self._own = threading.local()
        self._threads = ThreadPoolExecutor(connections)

    def each(self, work: Callable[[Caller, Item], Answer], items: Iterable[Item]) -> Sequence[Answer]:
        """Return the answers in the order of the items."""
        return list(self._threads.map(lambda item: work(self._caller(), item), items))

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    def _caller(self) -> Caller:
        if not hasattr(self._own, "caller"):
            self._own.caller = Caller(self._stack)
        caller: Caller = self._own.caller
        return caller
