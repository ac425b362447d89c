"""Context of a trace as it travels, in headers, rows and requests: https://www.w3.org/TR/trace-context/."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

PARENT = "traceparent"
STATE = "tracestate"
LONGEST_PARENT = 512
"""Characters of a traceparent that are looked at; those of the present version have 55."""
LONGEST_STATE = 512
"""Characters of a tracestate that are passed on: as many as the standard asks for."""
MOST_MEMBERS = 32
LONGEST_ENCODED = 55 + 1 + LONGEST_STATE
"""Most characters of a context in a row."""

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?")
_MEMBER = re.compile(
    r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_INVALID_VERSION = "ff"
_SAMPLED = 1


class TraceContext(msgspec.Struct, frozen=True):
    """Place in a trace: its id and that of the span that the next one belongs to, both in hexadecimal.

    ``state`` is what other vendors have sent with it.
    """

    trace_id: str
    span_id: str
    sampled: bool = True
    state: str = ""

    @property
    def parent(self) -> str:
        """Value of the header ``traceparent``."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"

    def encode(self) -> str:
        """Return it as rows and requests carry it."""
        return f"{self.parent} {self.state}".rstrip()


def decode_context(encoded: str) -> TraceContext | None:
    """Return the context that was encoded, None for anything else."""
    parent, _, state = encoded.partition(" ")
    return parse_context(parent, state)


def parse_context(parent: str, state: str = "") -> TraceContext | None:
    """Return the context of two headers, None unless the first one is valid.

    An invalid second one is left out. Of a later version of the standard only what this one has is read.
    """
    if len(parent) > LONGEST_PARENT:
        return None
    found = _PARENT.fullmatch(parent.strip(" \t"))
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == _INVALID_VERSION or (version == "00" and more):
        return None
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED), _checked_state(state))


def sent_context(headers: Iterable[tuple[bytes, bytes]]) -> TraceContext | None:
    """Return the context in the headers of a request, None without a valid one; names are in lower case."""
    parents = [value for name, value in headers if name == b"traceparent"]
    if len(parents) != 1:
        return None
    states = [value for name, value in headers if name == b"tracestate"]
    return parse_context(parents[0].decode("latin-1"), b",".join(states).decode("latin-1"))


def _checked_state(state: str) -> str:
    """Return the members of a tracestate, nothing where one is invalid or they are too many."""
    if not state or len(state) > 2 * LONGEST_STATE:
        return ""
    members = [member for part in state.split(",") if (member := part.strip(" \t"))]
    joined = ",".join(members)
    if len(members) > MOST_MEMBERS or len(joined) > LONGEST_STATE:
        return ""
    return joined if all(_MEMBER.fullmatch(member) for member in members) else ""
