"""Snapshots of data bundles: which documents a bundle has, how they were read, and their labels."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pagemill.extraction.types import GroundTruth, ReadOptions


class SnapshotDocument(msgspec.Struct, frozen=True):
    """A document whose words are kept beside ``content_key``."""

    document_id: str
    content_key: str
    ground_truth: GroundTruth


class Snapshot(msgspec.Struct, frozen=True):
    """The readable documents of a bundle, and the options that they were read with."""

    options: ReadOptions
    documents: list[SnapshotDocument]


class ReadableDocument(msgspec.Struct, frozen=True):
    """A document of a snapshot with the options of that snapshot."""

    document: SnapshotDocument
    options: ReadOptions


_decoder = msgspec.json.Decoder(Snapshot)


def encode(snapshot: Snapshot) -> bytes:
    """Return the bytes of the snapshot's object."""
    return msgspec.json.encode(snapshot)


def decode(content: bytes) -> Snapshot:
    """Return the snapshot that ``encode`` was given. Raises msgspec.MsgspecError."""
    return _decoder.decode(content)


def merge(snapshots: Iterable[Snapshot]) -> list[ReadableDocument]:
    """Return each document of several snapshots once: as it is in the newest, which comes last."""
    documents: dict[str, ReadableDocument] = {}
    for snapshot in snapshots:
        for document in snapshot.documents:
            documents.pop(document.document_id, None)
            documents[document.document_id] = ReadableDocument(document, snapshot.options)
    return list(documents.values())
