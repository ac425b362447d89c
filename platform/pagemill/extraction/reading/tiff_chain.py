"""Chain of the directories of a TIFF, one for each frame. Child's side."""

from __future__ import annotations

import struct

BIG_VERSION = 43


def has_more_frames_than(content: bytes, most: int) -> bool:
    """Return whether a TIFF has more than ``most`` frames.

    Pillow reads all that a directory holds before it counts the next one: too slow for 100,000 of them.
    """
    order = "<" if content.startswith(b"II") else ">"
    big = struct.unpack_from(f"{order}H", content, 2) == (BIG_VERSION,)
    number, position, entry_bytes = ("Q", "Q", 20) if big else ("H", "I", 12)
    seen: set[int] = set()
    at = _unsigned(order + position, content, 8 if big else 4)
    while at and at not in seen and len(seen) <= most:
        seen.add(at)
        entries = _unsigned(order + number, content, at)
        at = _unsigned(order + position, content, at + struct.calcsize(number) + entries * entry_bytes)
    return len(seen) > most


def _unsigned(kind: str, content: bytes, at: int) -> int:
    """Return a number of the content; 0, which ends the chain, for one that lies outside of it."""
    if at + struct.calcsize(kind) > len(content):
        return 0
    value: int = struct.unpack_from(kind, content, at)[0]
    return value
