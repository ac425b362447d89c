"""Real documents for benchmarks of serving: scanned receipts, and contracts with a text layer."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_PAGES = 30
"""Pages that are read of one document."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file, and its number of pages."""

    path: Path
    pages: int


def text_documents(data: Path) -> list[Source]:
    """Return the contracts."""
    return _sources(data / "adbuy", "application/pdf")


def scanned_documents(data: Path) -> list[Source]:
    """Return the receipts, of one page each."""
    return _sources(data / "sroie", "image/jpeg")


def repeated_sources(sources: Sequence[Source], number: int) -> list[Source]:
    """Return so many documents; files come again where there are fewer."""
    return list(itertools.islice(itertools.cycle(sources), number))


def sources_of_pages(sources: Sequence[Source], pages: int) -> Iterator[Source]:
    """Yield documents until they have so many pages."""
    for source in itertools.cycle(sources):
        if pages <= 0:
            return
        pages -= source.pages
        yield source


def _sources(folder: Path, content_type: str) -> list[Source]:
    items = json.loads((folder / "ground_truth.json").read_text())
    return [
        Source(folder / item["file"], min(item["pages"], MOST_PAGES))
        for item in items
        if item["contentType"] == content_type
    ]
