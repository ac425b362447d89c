"""Addresses that others may have us call: none of this machine, or of networks that only it can reach."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import aiohttp

from pagemill.notices.host_names import HostNames

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# RFC 6052: addresses that a NAT64 gateway sends on to the IPv4 address in the last four bytes.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class DestinationRefused(OSError):
    """The address is not one that others may have us call."""


def literal(host: str) -> Address | None:
    """Return the address that a URL's host is, None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Return whether it is an address of one host on the Internet, also when it is written as another one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None or address.is_site_local:
            return False
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
    )


def connecting_socket(address: tuple[Any, ...]) -> socket.socket:
    """Return a socket for an address of getaddrinfo. Raises DestinationRefused unless it is public.

    It is called for each connection with the address that is really used, also for a host with a name.
    """
    family, kind, protocol, _, destination = address
    if not is_public(ipaddress.ip_address(destination[0])):
        raise DestinationRefused("the address is not a public one")
    return socket.socket(family, kind, protocol)


@asynccontextmanager
async def calling_session(
    host_names: HostNames, *, private: bool, seconds: float
) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a session for URLs of others, without proxies, cookies, kept connections or decompression.

    It connects to public addresses only, unless ``private`` ones are allowed; a call ends after ``seconds``.
    """
    connector = aiohttp.TCPConnector(
        force_close=True,
        resolver=host_names,
        use_dns_cache=False,
        socket_factory=None if private else connecting_socket,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=seconds),
        auto_decompress=False,
        trust_env=False,
    ) as session:
        yield session
