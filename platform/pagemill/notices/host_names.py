"""Look-ups of the hosts that tenants name: asynchronous, and bounded.

The system's own look-up blocks a thread for up to a minute, and there are few threads, which everybody
shares: a tenant whose name server is silent would stop the others.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.resolver
from aiohttp.abc import AbstractResolver, ResolveResult

LOOKUP_SECONDS: Final = 5.0
"""Time for all questions about one host, to all name servers."""
MOST_ADDRESSES: Final = 8
"""Addresses of one host that are tried."""
KINDS: Final = {socket.AF_INET: "A", socket.AF_INET6: "AAAA"}
LOOPBACK: Final = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
HOSTS = Path("/etc/hosts")
# No domain is a number, but the system's look-up takes 127.1 and 0x7f000001 for addresses.
_NUMBER = re.compile(r"[0-9]*|0x[0-9a-f]*")


class HostNotFound(OSError):
    """The name has no address, or no name server said one in time."""


class HostNames(AbstractResolver):
    """Resolver of an HTTP client. Names of this machine and its network are only found with ``private``.

    Which addresses may be connected to is decided for each connection, by the address that is used then:
    see ``pagemill.notices.destinations``. So an answer that changes afterwards changes nothing.
    ``name_server`` is ``address:port``; without it, those of the system are asked.
    """

    def __init__(
        self, *, private: bool, name_server: str | None = None, seconds: float = LOOKUP_SECONDS
    ) -> None:
        self._private, self._seconds, self._name_server = private, seconds, name_server
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises HostNotFound."""
        families = [one for one in KINDS if family in (one, socket.AF_UNSPEC)]
        known = list(self._known(host))
        found = await asyncio.gather(*(self._ask(host, one) for one in families)) if not known else [known]
        addresses = [(kind, text) for answers in found for kind, text in answers if kind in families]
        if not addresses:
            raise HostNotFound(f"no address of {host} was found")
        return [
            ResolveResult(
                hostname=host, host=text, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST
            )
            for kind, text in addresses[:MOST_ADDRESSES]
        ]

    async def close(self) -> None:
        """Do nothing: no connection is kept."""

    def _known(self, host: str) -> Iterator[tuple[socket.AddressFamily, str]]:
        """Yield the addresses that nobody has to be asked for."""
        name = host.rstrip(".").lower()
        if _NUMBER.fullmatch(name.rpartition(".")[2]):
            raise HostNotFound(f"{host} is no name")
        if name == "localhost" or name.endswith(".localhost"):
            yield from LOOPBACK.items()
        elif self._private:
            yield from listed_addresses(HOSTS, name)

    async def _ask(self, host: str, family: socket.AddressFamily) -> list[tuple[socket.AddressFamily, str]]:
        try:
            answer = await self._opened().resolve(
                host, KINDS[family], lifetime=self._seconds, search=self._private
            )
        except (dns.exception.DNSException, OSError, UnicodeError, ValueError):
            return []
        return [(family, record.address) for record in answer]

    def _opened(self) -> dns.asyncresolver.Resolver:
        if self._resolver is None:
            self._resolver = dns.asyncresolver.Resolver(configure=self._name_server is None)
            if self._name_server is not None:
                address, _, port = self._name_server.rpartition(":")
                self._resolver.nameservers, self._resolver.port = [address], int(port)
        return self._resolver


def listed_addresses(path: Path, name: str) -> Iterator[tuple[socket.AddressFamily, str]]:
    """Yield the addresses that a file like /etc/hosts has for a name in small letters."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        if name in (one.lower() for one in names):
            yield (socket.AF_INET6 if ":" in address else socket.AF_INET), address
