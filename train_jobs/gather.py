"""Gathering of the examples that a training learns from: labels of snapshots, words of documents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from pagemill.applications.clients import ReadingClient
from pagemill.applications.requests import first_pages_request
from pagemill.concurrency import gather_or_cancel
from pagemill.documents.words import CachedWords, load_words
from pagemill.errors import BadRequest, DocumentUnreadable, NotFound
from pagemill.extraction.types import Example, Page
from pagemill.objects.store import ObjectStore
from train_jobs import snapshots
from train_jobs.snapshots import ReadableDocument

CONCURRENCY = 8

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Example])


async def gather_examples(
    objects: ObjectStore, reading: ReadingClient, snapshot_keys: Sequence[str], *, pages_per_document: int
) -> list[Example]:
    """Return the examples in the documents of snapshots, whose keys come oldest first.

    Raises BadRequest when no document has labels and can be read, Unavailable.
    """
    documents = snapshots.merge([snapshots.decode(await objects.get(key)) for key in snapshot_keys])
    examples = await ExampleGatherer(objects, reading, pages_per_document).gather(documents)
    if not any(example.ground_truth for example in examples):
        raise BadRequest("dataBundleIds: no document can be read and has ground truth")
    return examples


class ExampleGatherer:
    """Gatherer of examples. It leaves out documents that are gone or can no longer be read."""

    def __init__(self, objects: ObjectStore, reading: ReadingClient, pages_per_document: int) -> None:
        self._objects, self._reading = objects, reading
        self._maximum_pages = pages_per_document
        self._turns = asyncio.Semaphore(CONCURRENCY)

    async def gather(self, documents: Sequence[ReadableDocument]) -> list[Example]:
        """Return the examples in the order of ``documents``. Raises Unavailable."""
        found = await gather_or_cancel(self._example(document) for document in documents)
        return [example for example in found if example is not None]

    async def _example(self, readable: ReadableDocument) -> Example | None:
        document = readable.document
        async with self._turns:
            pages = await self._pages(document.content_key, readable)
        return Example(document.document_id, pages, document.ground_truth) if pages else None

    async def _pages(self, content_key: str, readable: ReadableDocument) -> list[Page] | None:
        """Return the first pages; have them read when their words are not in the cache."""
        words = await load_words(self._objects, content_key, readable.options)
        pages = first_pages(words, self._maximum_pages)
        if pages is None:
            request = first_pages_request(content_key, readable.options, self._maximum_pages)
            try:
                await self._reading.read(request)
            except (DocumentUnreadable, NotFound):
                return None
            words = await load_words(self._objects, content_key, readable.options)
            pages = first_pages(words, self._maximum_pages)
        return pages


def first_pages(words: CachedWords, maximum: int) -> list[Page] | None:
    """Return the first pages of a document, or None unless all of them have been read."""
    indexes = range(min(words.number_of_pages, maximum))
    if not indexes or words.missing(indexes):
        return None
    return words.reading(indexes).pages


def encode(examples: Sequence[Example]) -> bytes:
    """Return the bytes of the object with the examples for the workers."""
    return _encoder.encode(examples)


def decode(content: bytes) -> list[Example]:
    """Return the examples that ``encode`` was given. Raises msgspec.MsgspecError."""
    return _decoder.decode(content)
