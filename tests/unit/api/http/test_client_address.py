"""The address of a client, behind proxies and without them."""

from __future__ import annotations

import pytest

from pagemill.api.http.client_address import NOBODY, UNKNOWN, client_address, neighbourhood, read_proxies
from pagemill.settings import SettingsError

PROXIES = read_proxies("10.0.0.0/8, 2001:db8::/32")


@pytest.mark.parametrize(
    ("connection", "forwarded", "expected"),
    [
        ("198.51.100.7", [], "198.51.100.7"),
        ("198.51.100.7", ["203.0.113.9"], "198.51.100.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.2.3.4, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["1.2.3.4", "203.0.113.9, 10.9.9.9"], "203.0.113.9"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["203.0.113.9, nonsense"], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("2001:db8::1", ["[2606:4700::1]"], "2606:4700::1"),
        ("2001:db8::1", [",".join(["10.0.0.1"] * 50_000)], "10.0.0.1"),
    ],
)
def test_what_trusted_proxies_say_is_believed(connection: str, forwarded: list[str], expected: str) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    assert client_address({"client": (connection, 1), "headers": headers}, PROXIES) == expected


def test_without_proxies_the_header_means_nothing() -> None:
    scope = {"client": ("10.0.0.1", 1), "headers": [(b"x-forwarded-for", b"203.0.113.9")]}
    assert client_address(scope, NOBODY) == "10.0.0.1"
    assert client_address({"client": None, "headers": []}, NOBODY) == UNKNOWN


def test_over_a_unix_socket_only_a_proxy_can_have_connected() -> None:
    scope = {"client": None, "headers": [(b"x-forwarded-for", b"203.0.113.9")]}
    assert client_address(scope, PROXIES) == "203.0.113.9"


def test_a_client_has_all_of_its_network() -> None:
    assert neighbourhood("198.51.100.7") == "198.51.100.7"
    assert neighbourhood("::ffff:198.51.100.7") == "198.51.100.7"
    assert neighbourhood("2606:4700::1:2") == neighbourhood("2606:4700::9:9") != neighbourhood("2606:4701::1")
    assert neighbourhood(UNKNOWN) == UNKNOWN


@pytest.mark.parametrize("text", ["10.0.0.1/8", "proxy", "10.0.0.0/8;"])
def test_a_wrong_setting_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="PAGEMILL_TRUSTED_PROXIES"):
        read_proxies(text)
