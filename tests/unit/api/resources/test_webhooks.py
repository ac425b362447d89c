"""URLs of webhooks."""

from __future__ import annotations

import pytest

from pagemill.api.resources.webhooks import checked_destination
from pagemill.errors import BadRequest


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/hook",
        "https://localhost/hook",
        "https://127.0.0.1/hook",
        "https://10.0.0.1/hook",
        "https://[::1]/hook",
        "https://169.254.169.254/latest",
    ],
)
def test_a_private_destination_is_refused_unless_the_operator_allows_it(url: str) -> None:
    with pytest.raises(BadRequest, match=r"^url: "):
        checked_destination(url, private_targets=False)
    assert checked_destination(url, private_targets=True) == url


def test_a_fragment_is_refused() -> None:
    with pytest.raises(BadRequest, match="fragment"):
        checked_destination("https://example.com/#a", private_targets=True)


def test_a_public_destination_is_returned_as_sent() -> None:
    assert checked_destination("https://8.8.8.8/hook", private_targets=False) == "https://8.8.8.8/hook"
