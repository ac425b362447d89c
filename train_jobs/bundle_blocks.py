"""Blocks of documents, which a data bundle is made of, and what becomes of them.

A block is a step of the bundle's progress, and what is done again when its worker is lost. Words are stored
as they are read, so that only what was not stored is read again; the files of a block have the same names
each time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from pagemill.documents.bundle_contents import BundleFile
from pagemill.extraction.types import GroundTruth, ReadOptions

BLOCKS = 50
"""Blocks that a bundle has at least, where it has as many documents: each is a step of its progress."""
BLOCK_DOCUMENTS = 64


class BlockDocument(msgspec.Struct, frozen=True):
    """A labelled document; without content it cannot be read."""

    document_id: str
    content_key: str | None
    ground_truth: GroundTruth


class DocumentBlock(msgspec.Struct, frozen=True):
    """Documents that are bundled together, below the prefix ``bundle_key``."""

    number: int
    bundle_key: str
    options: ReadOptions
    documents: list[BlockDocument]


class BlockOutcome(msgspec.Struct, frozen=True):
    """The files of a block, why documents cannot be read, by their ids, or why the block was given up."""

    number: int
    documents: int
    files: list[BundleFile] = []
    problems: dict[str, str] = {}
    unavailable: str | None = None


def blocks_of(
    documents: Sequence[BlockDocument], bundle_key: str, options: ReadOptions
) -> list[DocumentBlock]:
    """Return the documents in blocks, in their order."""
    size = min(max(1, math.ceil(len(documents) / BLOCKS)), BLOCK_DOCUMENTS)
    return [
        DocumentBlock(number, bundle_key, options, list(documents[start : start + size]))
        for number, start in enumerate(range(0, len(documents), size))
    ]
