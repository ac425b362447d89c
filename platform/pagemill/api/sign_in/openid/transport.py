"""Requests to OpenID providers: to public addresses, bounded in time and size, without redirects."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus

import aiohttp
import msgspec

from pagemill import __version__
from pagemill.api.sign_in.openid.configuration import is_usable_url
from pagemill.errors import Unavailable
from pagemill.notices.destinations import calling_session
from pagemill.notices.host_names import HostNames

SECONDS: Final = 10.0
LARGEST_ANSWER: Final = 512 * 1024
AT_A_TIME: Final = 16
"""Requests of one process to all providers; others wait for them."""
HEADERS: Final = {
    "Accept": "application/json",
    # What a compressed answer becomes has no bound.
    "Accept-Encoding": "identity",
    "User-Agent": f"Pagemill/{__version__}",
}


class ProviderAway(Unavailable):
    """The provider does not answer, or not as it should."""


class ProviderRefuses(Exception):
    """The provider says that what it was sent is wrong, such as a code that it has not issued."""


class ProviderTransport:
    """Client of providers; ``private``: they may be on this machine and in private networks."""

    def __init__(self, *, private: bool) -> None:
        self._private = private
        self._host_names = HostNames(private=private)
        self._turns = asyncio.Semaphore(AT_A_TIME)

    def is_usable(self, url: str) -> bool:
        """Return whether a URL may be asked, and a browser be sent there."""
        return is_usable_url(url, private=self._private)

    async def get(self, url: str, *, bearer: str | None = None) -> dict[str, Any]:
        """Return the JSON object at a URL. Raises ProviderAway."""
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        return await self._ask("GET", url, headers=headers)

    async def post(
        self, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None = None
    ) -> dict[str, Any]:
        """Return the JSON object that a form is answered with. Raises ProviderAway and ProviderRefuses."""
        headers = {}
        if basic is not None:
            # RFC 6749, 2.3.1: both are encoded like parts of a form.
            headers["Authorization"] = aiohttp.encode_basic_auth(*map(quote_plus, basic))
        return await self._ask("POST", url, data=dict(form), headers=headers)

    async def _ask(self, method: str, url: str, **arguments: Any) -> dict[str, Any]:
        if not self.is_usable(url):
            raise ProviderAway("The sign-in service is not set up well", detail="a URL that cannot be used")
        headers = HEADERS | arguments.pop("headers")
        try:
            async with (
                self._turns,
                calling_session(self._host_names, private=self._private, seconds=SECONDS) as session,
                session.request(method, url, headers=headers, allow_redirects=False, **arguments) as response,
            ):
                body = await _bounded(response)
                status = response.status
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise ProviderAway("The sign-in service does not answer", detail=type(error).__name__) from error
        if status == 400:
            raise ProviderRefuses
        if status != 200:
            raise ProviderAway("The sign-in service refuses to answer", detail=f"status {status}")
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProviderAway(
                "The sign-in service answers something else", detail="no JSON object"
            ) from None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """Return the body. Raises ValueError when it is too large."""
    body = b""
    async for piece in response.content.iter_chunked(64 * 1024):
        body += piece
        if len(body) > LARGEST_ANSWER:
            raise ValueError("the answer is too large")
    return body
