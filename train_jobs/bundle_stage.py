"""The stage that makes a data bundle: it has a block of documents read, and writes their Parquet files."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from pagemill.applications.clients import ReadingClient, read_all_parts
from pagemill.applications.requests import first_pages_request
from pagemill.concurrency import gather_or_cancel
from pagemill.documents import bundle_files
from pagemill.documents.bundle_contents import BundleFile
from pagemill.documents.words import DocumentPages, words_of
from pagemill.errors import DocumentUnreadable, NotFound, Unavailable
from pagemill.extraction.page_selection import MAX_SELECTED_PAGES
from pagemill.extraction.types import Example
from pagemill.objects.store import ObjectStore
from train_jobs.bundle_blocks import BlockDocument, BlockOutcome, DocumentBlock

FILE_BYTES = 8 * 1024 * 1024
"""Bytes of words after which a file ends. Each block that is being made holds as many in memory."""
LOADS_AT_ONCE = 4
"""Documents whose words are unpacked at a time: these take several times the memory of a table."""
RETRY_SECONDS = (1.0, 5.0, 20.0)
"""Pauses before a document is read again whose replica was lost."""


class DocumentBundler:
    """Maker of blocks; it reads at most ``parts`` parts of documents at a time, whichever block they are of.

    ``pages_per_document`` bounds what is read of one document.
    """

    def __init__(
        self,
        objects: ObjectStore,
        reading: ReadingClient,
        *,
        parts: int,
        pages_per_document: int,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        self._objects, self._reading = objects, reading
        self._maximum_pages = min(pages_per_document, MAX_SELECTED_PAGES)
        self._retry_seconds = retry_seconds
        self._turns = asyncio.Semaphore(parts)
        self._loading = asyncio.Semaphore(LOADS_AT_ONCE)

    async def bundle(self, block: DocumentBlock) -> BlockOutcome:
        """Read the documents of a block and write its files."""
        try:
            found = await gather_or_cancel(self._read(block, document) for document in block.documents)
            pages = {one.document_id: pages for one, pages in zip(block.documents, found, strict=True)}
            problems = {name: problem for name, problem in pages.items() if isinstance(problem, str)}
            files = [file async for file in self._write(block, pages)]
        except Unavailable as error:
            reason = f"{error.message}: {error.detail}" if error.detail else error.message
            return BlockOutcome(block.number, len(block.documents), unavailable=reason)
        return BlockOutcome(block.number, len(block.documents), files, problems)

    async def _read(self, block: DocumentBlock, document: BlockDocument) -> DocumentPages | str:
        """Return the first pages, whose words are stored then, or why there are none. Raises Unavailable."""
        if document.content_key is None:
            return "The document has no content"
        request = first_pages_request(document.content_key, block.options, self._maximum_pages)
        pauses = iter(self._retry_seconds)
        while True:
            try:
                return (await read_all_parts(self._reading, request, self._turns)).pages
            except (DocumentUnreadable, NotFound) as error:
                return error.message
            except Unavailable:
                pause = next(pauses, None)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def _write(
        self, block: DocumentBlock, found: Mapping[str, DocumentPages | str]
    ) -> AsyncIterator[BundleFile]:
        """Write the words of the readable documents, in files of about ``FILE_BYTES``."""
        tables: dict[str, Any] = {}
        number = itertools.count()
        for document in block.documents:
            pages = found[document.document_id]
            if isinstance(pages, str) or not pages.indexes:
                continue
            table = await self._table(block, document, pages)
            if table is not None:
                tables[document.document_id] = table
            if sum(table.nbytes for table in tables.values()) >= FILE_BYTES:
                yield await self._put(block, next(number), tables)
                tables = {}
        if tables:
            yield await self._put(block, next(number), tables)

    async def _table(self, block: DocumentBlock, document: BlockDocument, pages: DocumentPages) -> Any:
        """Return the pages of a document as rows, or None when it was deleted meanwhile.

        Pages whose words are damaged are read once more.
        """
        async with self._loading:
            try:
                words = await words_of(self._objects, pages)
            except Unavailable:
                again = await self._read(block, document)
                if isinstance(again, str):
                    return None
                words = await words_of(self._objects, again)
            example = Example(document.document_id, words, document.ground_truth)
            return await asyncio.to_thread(bundle_files.to_table, [example])

    async def _put(self, block: DocumentBlock, number: int, tables: Mapping[str, Any]) -> BundleFile:
        name = f"part-{block.number:05d}-{number:03d}.parquet"
        content = await asyncio.to_thread(bundle_files.encode, bundle_files.joined(tables.values()))
        await self._objects.put(block.bundle_key + name, content)
        return BundleFile(name, list(tables))
