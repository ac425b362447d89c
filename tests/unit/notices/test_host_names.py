"""Look-ups of host names at a real name server, over UDP."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from pagemill.notices.host_names import MOST_ADDRESSES, HostNames, HostNotFound, listed_addresses
from tests.support.name_server import SILENT, name_server

RECORDS = {
    ("both.example.com", "A"): ["192.0.2.1"],
    ("both.example.com", "AAAA"): ["2001:db8::1"],
    ("half.example.com", "A"): ["192.0.2.2"],
    ("half.example.com", "AAAA"): SILENT,
    ("silent.example.com", "A"): SILENT,
    ("silent.example.com", "AAAA"): SILENT,
    ("many.example.com", "A"): [f"192.0.2.{number}" for number in range(100, 150)],
}


async def found(host: str, *, private: bool = False, family: int = socket.AF_UNSPEC) -> list[str]:
    with name_server(RECORDS) as address:
        names = HostNames(private=private, name_server=address, seconds=1.0)
        answers = await names.resolve(host, 443, socket.AddressFamily(family))
    assert all(answer["port"] == 443 and answer["hostname"] == host for answer in answers)
    return [answer["host"] for answer in answers]


async def test_addresses_of_both_kinds() -> None:
    assert await found("both.example.com") == ["192.0.2.1", "2001:db8::1"]
    assert await found("Both.Example.com.", family=socket.AF_INET6) == ["2001:db8::1"]
    assert await found("half.example.com") == ["192.0.2.2"]
    assert len(await found("many.example.com")) == MOST_ADDRESSES


@pytest.mark.parametrize(
    "host",
    [
        *("silent.example.com", "missing.example.com", "x..y", "a" * 300, "ä" * 64),
        *("127.1", "2130706433", "0x7f000001"),
    ],
)
async def test_what_is_not_found_ends_soon(host: str) -> None:
    with pytest.raises(HostNotFound):
        await found(host)


async def test_the_systems_look_up_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a thread was asked")

    monkeypatch.setattr(loop, "getaddrinfo", refuse)
    monkeypatch.setattr(loop, "run_in_executor", refuse)
    assert await found("both.example.com") == ["192.0.2.1", "2001:db8::1"]
    assert await found("localhost") == ["127.0.0.1", "::1"]


def test_names_in_the_file_of_hosts(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("# a\n\n192.0.2.7 Hooks hooks.lan # the hooks\n2001:db8::7 hooks\n")
    assert list(listed_addresses(path, "hooks")) == [
        (socket.AF_INET, "192.0.2.7"),
        (socket.AF_INET6, "2001:db8::7"),
    ]
    assert list(listed_addresses(path, "other")) == []
    assert list(listed_addresses(tmp_path / "none", "hooks")) == []
