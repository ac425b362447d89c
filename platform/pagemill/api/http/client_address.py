"""The address that a request comes from: that of the connection, or what trusted proxies say of it."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from typing import Any, TypeAlias

from pagemill.settings import SettingsError

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
FORWARDED = b"x-forwarded-for"
MOST_HOPS = 16
UNKNOWN = "unknown"
"""The address of a connection that has none, as over a Unix socket."""


class TrustedProxies:
    """Networks of the proxies that are believed; none by default."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, address: str) -> bool:
        """Return whether an address is that of a proxy; over a Unix socket only proxies connect."""
        if address == UNKNOWN:
            return bool(self._networks)
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        return any((mapped or parsed) in network for network in self._networks)


NOBODY = TrustedProxies()


def read_proxies(text: str) -> TrustedProxies:
    """Return the proxies of a setting: networks, separated by commas. Raises SettingsError."""
    try:
        return TrustedProxies(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())
    except ValueError as error:
        raise SettingsError(f"PAGEMILL_TRUSTED_PROXIES: {error}") from None


def client_address(scope: Any, trusted: TrustedProxies) -> str:
    """Return the address of the client of a request.

    ``X-Forwarded-For`` is read from its end, as long as who has written it is a trusted proxy: everything
    before that may be the client's own invention.
    """
    client = scope.get("client")
    address = str(client[0]) if client else UNKNOWN
    if not trusted or not trusted.trusts(address):
        return address
    hops = b",".join(value for name, value in scope["headers"] if name == FORWARDED).decode("latin-1")
    for hop in reversed(hops.rsplit(",", MOST_HOPS)[-MOST_HOPS:]):
        parsed = _parsed(hop.strip())
        if parsed is None:
            break
        address = parsed
        if not trusted.trusts(address):
            break
    return address


@functools.lru_cache(maxsize=4096)
def neighbourhood(address: str) -> str:
    """Return the address; of an IPv6 address the network of 64 bits, all of which one client has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))


def _parsed(hop: str) -> str | None:
    try:
        return str(ipaddress.ip_address(hop.strip("[]")))
    except ValueError:
        return None
