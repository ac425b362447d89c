"""DNS for SPF and DKIM, with bounds. Blocking: it is used in a confined child only."""

from __future__ import annotations

import time
from typing import Any

import dns.exception
import dns.resolver
import spf

LOOKUP_SECONDS = 3.0
TOTAL_SECONDS = 10.0
"""Time for all questions about one mail."""

NOT_THERE = (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer)
UNANSWERED = (
    dns.exception.Timeout,
    dns.resolver.NoNameservers,
    dns.resolver.NoResolverConfiguration,
    OSError,
)
NO_NAME = (dns.exception.DNSException, UnicodeError, ValueError)
"""Errors for a name that cannot be asked for; the others are subclasses of the first one too."""


class Unanswered(Exception):
    """A name server did not answer, or could not."""


class Resolver:
    """Resolver of one mail: it asks for so long, and no longer."""

    def __init__(self, name_servers: list[str]) -> None:
        self._deadline = time.monotonic() + TOTAL_SECONDS
        self._resolver: dns.resolver.Resolver | None = None
        if not name_servers:
            return
        self._resolver = dns.resolver.Resolver(configure=False)
        self._resolver.nameservers = [one.rpartition(":")[0] for one in name_servers]
        self._resolver.nameserver_ports = {
            address: int(port) for address, _, port in (one.rpartition(":") for one in name_servers)
        }

    def key(self, name: bytes, timeout: float = LOOKUP_SECONDS) -> bytes | None:
        """Return the first text record of a name, as ``dkim`` asks for it. Raises Unanswered."""
        for record in self._ask(name.decode("ascii", "replace"), "TXT", timeout):
            return b"".join(record.strings)
        return None

    def lookup(self, name: str, kind: str, _strict: bool, timeout: float) -> list[tuple[Any, Any]]:
        """Return records as ``spf`` asks for them. Raises spf.TempError."""
        try:
            records = self._ask(name, kind, timeout)
        except Unanswered as error:
            raise spf.TempError(f"DNS {error}") from error
        return [((name, kind), _value(record, kind)) for record in records]

    def _ask(self, name: str, kind: str, timeout: float) -> list[Any]:
        left = min(timeout, LOOKUP_SECONDS, self._deadline - time.monotonic())
        if left <= 0:
            raise Unanswered("the time for questions is over")
        try:
            if self._resolver is None:
                self._resolver = dns.resolver.Resolver()
            return list(self._resolver.resolve(name, kind, lifetime=left, search=False))
        except NOT_THERE:
            return []
        except UNANSWERED as error:
            raise Unanswered(type(error).__name__) from error
        except NO_NAME:
            return []


def _value(record: Any, kind: str) -> Any:
    match kind:
        case "A" | "AAAA":
            return record.address
        case "MX":
            return record.preference, record.exchange.to_text(omit_final_dot=True)
        case "PTR":
            return record.target.to_text(omit_final_dot=True)
        case _:
            return record.strings
