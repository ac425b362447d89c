"""One document of the collection, and what a reader may make of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["read", "refused", "either"]


@dataclass(frozen=True, slots=True)
class BadDocument:
    """Bytes with a name; words that must be among those read where the outcome is ``read``."""

    name: str
    content: bytes
    outcome: Outcome = "either"
    words: tuple[str, ...] = ()
    message: str = ""
    """What the refusal must say, where it is known."""


def refused(name: str, content: bytes, message: str = "") -> BadDocument:
    """A document that no reader can make sense of."""
    return BadDocument(name, content, "refused", message=message)


def readable(name: str, content: bytes, *words: str) -> BadDocument:
    """An odd document that a person can read all the same."""
    return BadDocument(name, content, "read", words)
