"""Gathering what a training learns from: labels from the snapshots, words from beside the documents."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from pagemill.applications.requests import ReadingRequest, first_pages_request
from pagemill.concurrency import gather_or_cancel
from pagemill.documents.words import CachedWords, load_words
from pagemill.errors import DocumentUnreadable, NotFound
from pagemill.extraction.types import Example, Page
from pagemill.objects.store import ObjectStore
from train_jobs.snapshot import ReadableDocument

AT_ONCE = 8

ReadPages = Callable[[ReadingRequest], Awaitable[object]]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Example])


class Gathering:
    """Gathers examples; a document that is gone or cannot be read any more is left out."""

    def __init__(self, objects: ObjectStore, read: ReadPages, pages_per_document: int) -> None:
        """``read`` has the reading application read pages that are not kept yet."""
        self._objects, self._read, self._pages = objects, read, pages_per_document
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def gather(self, documents: Sequence[ReadableDocument]) -> list[Example]:
        """The examples in the order of ``documents``. Raises Unavailable."""
        found = await gather_or_cancel(self._example(document) for document in documents)
        return [example for example in found if example is not None]

    async def _example(self, readable: ReadableDocument) -> Example | None:
        document = readable.document
        async with self._turns:
            words = await load_words(self._objects, document.content_key, readable.options)
            pages = first_pages(words, self._pages)
            if pages is None:
                try:
                    await self._read(first_pages_request(document.content_key, readable.options, self._pages))
                except (DocumentUnreadable, NotFound):
                    return None
                words = await load_words(self._objects, document.content_key, readable.options)
                pages = first_pages(words, self._pages)
        return Example(document.document_id, pages, document.ground_truth) if pages else None


def first_pages(words: CachedWords, maximum: int) -> list[Page] | None:
    """The first pages of a document; None unless all of them have been read."""
    indexes = range(min(words.number_of_pages, maximum))
    if not indexes or words.missing(indexes):
        return None
    return words.reading(indexes).pages


def encode(examples: Sequence[Example]) -> bytes:
    """As handed to the training workers."""
    return _encoder.encode(examples)


def decode(content: bytes) -> list[Example]:
    """The inverse of encode."""
    return _decoder.decode(content)
