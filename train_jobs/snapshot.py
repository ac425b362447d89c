"""What a data bundle keeps: which documents, how they were read, and what they are labelled with."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pagemill.extraction.types import GroundTruth, ReadOptions


class BundledDocument(msgspec.Struct, frozen=True):
    """A document whose words lie beside ``content_key``."""

    document_id: str
    content_key: str
    ground_truth: GroundTruth


class Snapshot(msgspec.Struct, frozen=True):
    """The readable documents of a bundle, and how they were read."""

    options: ReadOptions
    documents: list[BundledDocument]


class ReadableDocument(msgspec.Struct, frozen=True):
    """A document of a snapshot with the options of that snapshot."""

    document: BundledDocument
    options: ReadOptions


_decoder = msgspec.json.Decoder(Snapshot)


def encode(snapshot: Snapshot) -> bytes:
    """As kept."""
    return msgspec.json.encode(snapshot)


def decode(content: bytes) -> Snapshot:
    """The inverse of encode."""
    return _decoder.decode(content)


def united(snapshots: Iterable[Snapshot]) -> list[ReadableDocument]:
    """The documents of several snapshots, given oldest first: of one that is in several the newest counts."""
    documents: dict[str, ReadableDocument] = {}
    for snapshot in snapshots:
        for document in snapshot.documents:
            documents.pop(document.document_id, None)
            documents[document.document_id] = ReadableDocument(document, snapshot.options)
    return list(documents.values())
