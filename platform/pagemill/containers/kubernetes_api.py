"""Client of the API of Kubernetes: JSON in, JSON out, and the bytes of logs."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Any, Final

import aiohttp

from pagemill.containers.engine import EngineUnavailable
from pagemill.containers.kubernetes_access import KubernetesAccess
from pagemill.errors import PagemillError

CALL_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 300.0
"""Time after which a log without a new byte is asked for again: its connection may be gone."""
MERGE_PATCH: Final = "application/merge-patch+json"
LONGEST_ANSWER: Final = 8 * 1024 * 1024
LONGEST_READ: Final = 65536
LONGEST_REASON: Final = 1000
AWAY: Final = frozenset({401, 403, 408, 429})
"""Statuses that are not the request's fault: rights and quotas that an operator mends, and too much to do."""

Json = dict[str, Any]


class Refused(PagemillError):
    """Kubernetes refuses a request; ``code`` is the status of HTTP."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message[:LONGEST_REASON])
        self.code = code


class Interrupted(PagemillError):
    """An answer has ended before its end: its connection is gone, or nothing has come for long."""


class KubernetesApi:
    """Connections to the API. All operations raise Refused and EngineUnavailable."""

    def __init__(self, access: KubernetesAccess) -> None:
        self._access = access
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS, sock_connect=CONNECT_SECONDS)
        trust = ssl.create_default_context(cafile=access.ca_file)
        self._session = aiohttp.ClientSession(
            access.url, connector=aiohttp.TCPConnector(ssl=trust, limit=0), timeout=timeout, trust_env=False
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def get(self, path: str, **params: str) -> Json:
        """Return an object or a list."""
        return await self._call("GET", path, params=params)

    async def create(self, path: str, body: Json) -> Json:
        """Create an object and return it as it is stored."""
        return await self._call("POST", path, body=body)

    async def patch(self, path: str, body: Json) -> Json:
        """Merge ``body`` into an object."""
        return await self._call("PATCH", path, body=body, content_type=MERGE_PATCH)

    async def delete(self, path: str, body: Json) -> Json:
        """Delete an object with the options in ``body``."""
        return await self._call("DELETE", path, body=body)

    async def stream(self, path: str, **params: str) -> AsyncGenerator[bytes, None]:
        """Iterate over the bytes of an answer. Raises Interrupted, too."""
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        with _Translated():
            async with self._session.get(
                path, params=params, headers=self._headers(), timeout=timeout, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise refusal(response.status, await _read(response))
                try:
                    while data := await response.content.read(LONGEST_READ):
                        yield data
                except (aiohttp.ClientPayloadError, OSError, TimeoutError) as error:
                    raise Interrupted(type(error).__name__) from error

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        headers = self._headers()
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), content_type
        with _Translated():
            async with self._session.request(
                method, path, params=params, data=data, headers=headers, allow_redirects=False
            ) as response:
                answer = await _read(response)
        if response.status >= 300:
            raise refusal(response.status, answer)
        try:
            found: Json = json.loads(answer)
        except ValueError as error:
            raise EngineUnavailable("The API of Kubernetes answers without JSON") from error
        return found

    def _headers(self) -> dict[str, str]:
        # A kilobyte in memory: nothing that would hold the event loop up.
        token = self._access.token_file.read_text().strip()
        return {"Authorization": f"Bearer {token}", "Accept": "application/json, */*"}


class _Translated:
    """Context in which failures of the connection become EngineUnavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, (aiohttp.ClientError, OSError, TimeoutError)):
            raise EngineUnavailable(
                f"The API of Kubernetes cannot be reached: {type(error).__name__}"
            ) from error


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read an answer of bounded length. Raises EngineUnavailable for a longer one."""
    read = bytearray()
    async for data in response.content.iter_chunked(LONGEST_READ):
        read += data
        if len(read) > LONGEST_ANSWER:
            raise EngineUnavailable("The API of Kubernetes answers more than it can have to say")
    return bytes(read)


def refusal(status: int, answer: bytes) -> Refused | EngineUnavailable:
    """Return the error for an answer that is none, with what Kubernetes says."""
    try:
        message = str(json.loads(answer)["message"])
    except (ValueError, LookupError, TypeError):
        message = f"status {status}"
    if status in AWAY or status >= 500:
        return EngineUnavailable(f"Kubernetes does not take the request: {message[:LONGEST_REASON]}")
    return Refused(status, message)
