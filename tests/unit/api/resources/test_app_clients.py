"""URLs of app clients."""

from __future__ import annotations

import pytest

from pagemill.api.resources.app_clients import checked_url
from pagemill.errors import BadRequest


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:8443/path?query=1#fragment",
        "http://localhost:3000/callback",
        "https://[2001:db8::1]/",
    ],
)
def test_a_good_url_is_returned_as_sent(url: str) -> None:
    assert checked_url("loginUrls", url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost.example.com",
        "http://localhost@example.com",
        "https://user@example.com",
        "https://",
        "https://example.com:0",
        "https://example.com:port",
        "https://example.com\\@other.com",
        "https://exam ple.com",
        "https://example.com/\n",
    ],
)
def test_an_unsafe_url_is_refused(url: str) -> None:
    with pytest.raises(BadRequest, match=r"^loginUrls: "):
        checked_url("loginUrls", url)
