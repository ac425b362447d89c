"""Gathering of the examples that a training learns from: labels of snapshots, words of documents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pagemill.applications.clients import ReadingClient, read_all_parts
from pagemill.applications.requests import first_pages_request
from pagemill.concurrency import gather_or_cancel
from pagemill.documents import bundle_files
from pagemill.documents.bundle_contents import BundleContents, BundleFile, save_contents
from pagemill.documents.words import DocumentPages, find_pages, load_pages
from pagemill.errors import BadRequest, DocumentUnreadable, NotFound
from pagemill.extraction.page_selection import MAX_SELECTED_PAGES
from pagemill.extraction.types import Example, Page
from pagemill.objects.store import ObjectStore
from train_jobs import snapshots
from train_jobs.snapshots import ReadableDocument

CONCURRENCY = 8
"""Documents that are gathered, and parts of them that are read, at a time."""

DOCUMENTS_PER_FILE = 50


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


async def write_dataset(objects: ObjectStore, prefix: str, examples: Sequence[Example]) -> None:
    """Write examples below a prefix as data bundles have them. Raises Unavailable."""
    files = []
    for begin in range(0, len(examples), DOCUMENTS_PER_FILE):
        part = examples[begin : begin + DOCUMENTS_PER_FILE]
        name = f"{begin // DOCUMENTS_PER_FILE:05}.parquet"
        await objects.put(prefix + name, await asyncio.to_thread(_parquet, part))
        files.append(BundleFile(name, [example.document_id for example in part]))
    await save_contents(objects, prefix, BundleContents(files))


def _parquet(examples: Sequence[Example]) -> bytes:
    return bundle_files.encode(bundle_files.to_table(examples))


class ExampleGatherer:
    """Gatherer of examples. It leaves out documents that are gone or can no longer be read."""

    def __init__(self, objects: ObjectStore, reading: ReadingClient, pages_per_document: int) -> None:
        self._objects, self._reading = objects, reading
        self._maximum_pages = min(pages_per_document, MAX_SELECTED_PAGES)
        self._turns = asyncio.Semaphore(CONCURRENCY)
        self._reading_turns = asyncio.Semaphore(CONCURRENCY)

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
        """Return the first pages; have those read whose words are not stored."""
        pages = await self._stored_pages(content_key, readable)
        if pages is None:
            request = first_pages_request(content_key, readable.options, self._maximum_pages)
            try:
                await read_all_parts(self._reading, request, self._reading_turns)
            except (DocumentUnreadable, NotFound):
                return None
            pages = await self._stored_pages(content_key, readable)
        return pages

    async def _stored_pages(self, content_key: str, readable: ReadableDocument) -> list[Page] | None:
        """Return the first pages, or None unless the words of all of them are stored."""
        stored = await find_pages(self._objects, content_key, readable.options)
        indexes = first_indexes(stored, self._maximum_pages)
        if indexes is None:
            return None
        words = await load_pages(self._objects, stored, indexes)
        return [words[index] for index in indexes] if len(words) == len(indexes) else None


def first_indexes(stored: DocumentPages, maximum: int) -> list[int] | None:
    """Return the first pages of a document, or None unless all of them have been read."""
    indexes = list(range(min(stored.number_of_pages, maximum)))
    return indexes if indexes and not stored.missing(indexes) else None
