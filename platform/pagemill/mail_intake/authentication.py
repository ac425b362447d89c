"""SPF and DKIM: what proves the sender's domain. Blocking: it is used in a confined child only."""

from __future__ import annotations

import logging
from typing import cast, get_args

import dkim
import spf

from pagemill.mail_intake.mail import Authentication, Dkim, DkimResult, ReadRequest, Spf, SpfResult
from pagemill.mail_intake.resolver import LOOKUP_SECONDS, TOTAL_SECONDS, Resolver, Unanswered

MOST_SIGNATURES = 5
SHORTEST_KEY = 1024
"""Bits of an RSA key (RFC 8301)."""
LONGEST_DOMAIN = 255

SILENT = logging.getLogger("pagemill.mail_intake.dkim")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False

BAD_SIGNATURE = (dkim.DKIMException, ValueError, LookupError, TypeError, AssertionError)
"""Errors for signatures and keys that are malformed; the library does not catch all of its own."""


def authenticate(content: bytes, request: ReadRequest, *, origin: str, resolver: Resolver) -> Authentication:
    """Ask who answers for a mail, and whether that is the domain of its origin."""
    found_spf = check_spf(request, resolver)
    signatures = check_dkim(content, resolver)
    proven = [one.domain for one in signatures if one.result == "pass"]
    if found_spf.result == "pass":
        proven.append(found_spf.domain)
    domain = origin.rpartition("@")[2]
    return Authentication(found_spf, signatures, aligned=any(are_aligned(domain, one) for one in proven))


def are_aligned(domain: str, proven: str) -> bool:
    """Return whether two domains are one, or one is below the other, which is no top-level domain.

    DMARC compares by a list of the suffixes under which people register names; this needs none, and takes
    strangers for one only where such a suffix sends mail itself.
    """
    one, other = sorted((domain.lower().rstrip("."), proven.lower().rstrip(".")), key=len)
    return "." in one and (one == other or other.endswith(f".{one}"))


def check_spf(request: ReadRequest, resolver: Resolver) -> Spf:
    """Return whether the sending machine may send for its domain (RFC 7208)."""
    sender = "" if request.sender == "<>" else request.sender
    domain = (sender.rpartition("@")[2] or request.client_name)[:LONGEST_DOMAIN]
    # The library's own hook for another resolver. The process serves this one mail.
    spf.DNSLookup = resolver.lookup
    try:
        result, _ = spf.check2(
            i=request.client_address,
            s=sender,
            h=request.client_name,
            timeout=LOOKUP_SECONDS,
            querytime=TOTAL_SECONDS,
        )
    except Exception:  # noqa: BLE001 - records of strangers make it fail in ways that nobody lists
        result = "permerror"
    known = result if result in get_args(SpfResult) else "permerror"
    return Spf(cast("SpfResult", known), domain)


def check_dkim(content: bytes, resolver: Resolver) -> list[Dkim]:
    """Return the results of the first signatures (RFC 6376)."""
    try:
        verifier = dkim.DKIM(content, logger=SILENT, minkey=SHORTEST_KEY, timeout=LOOKUP_SECONDS)
    except BAD_SIGNATURE:
        return []
    count = sum(name.lower() == b"dkim-signature" for name, _ in verifier.headers)
    return [_check_signature(verifier, number, resolver) for number in range(min(count, MOST_SIGNATURES))]


def _check_signature(verifier: dkim.DKIM, number: int, resolver: Resolver) -> Dkim:
    verifier.signature_fields = {}
    result: DkimResult
    try:
        result = "pass" if verifier.verify(number, dnsfunc=resolver.key) else "fail"
    except Unanswered:
        result = "temperror"
    except dkim.NaClNotFoundError:
        result = "neutral"
    except BAD_SIGNATURE:
        result = "permerror"
    fields = verifier.signature_fields
    # What is behind the signed length can be anybody's, and SHA-1 can be forged (RFC 8301).
    if result == "pass" and (b"l" in fields or fields.get(b"a") == b"rsa-sha1"):
        result = "policy"
    return Dkim(result, fields.get(b"d", b"").decode("ascii", "replace")[:LONGEST_DOMAIN])
