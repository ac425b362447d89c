"""Documents that say of themselves how long they take to read, and a record of each page that is read."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from pagemill.extraction.types import Page, Word

READS = "REHEARSAL_READS"
"""Variable with the file to which stubs write each page that they read."""


class StubContent(msgspec.Struct, frozen=True):
    """Content of a document: its name, its pages, the seconds that each takes, and its words besides two."""

    name: str
    pages: int
    seconds: float
    more_words: int = 0

    def page(self, index: int) -> Page:
        """Return the words of a page, which no other page has."""
        texts = [self.name, f"page-{index}", *(f"word-{number}" for number in range(self.more_words))]
        words = [
            Word(text, 0.1, place / len(texts), 0.2, (place + 0.9) / len(texts))
            for place, text in enumerate(texts)
        ]
        return Page(index, 0.7, "text", words)


class ReadPage(msgspec.Struct, frozen=True):
    """A page that a replica has begun or ended to read."""

    name: str
    index: int
    event: str
    at: float
    process: int


def note_read(content: StubContent, index: int, event: str) -> None:
    """Write down an event of a page, in one piece though many processes write."""
    line = msgspec.json.encode(ReadPage(content.name, index, event, time.time(), os.getpid())) + b"\n"
    descriptor = os.open(os.environ[READS], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def pages_read(file: Path) -> list[ReadPage]:
    """Return what has been written down."""
    decoder = msgspec.json.Decoder(ReadPage)
    return [decoder.decode(line) for line in file.read_bytes().splitlines()]


def read_twice(reads: Iterable[ReadPage]) -> list[tuple[str, int]]:
    """Return the pages whose reading began more than once."""
    begun = Counter((read.name, read.index) for read in reads if read.event == "begun")
    return sorted(page for page, times in begun.items() if times > 1)
