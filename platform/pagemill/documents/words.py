"""Words of a document's pages: one object for each page that has been read, beside the content.

The name of an object tells the page and the number of pages of the document: one listing says what has been
read. Writers share nothing, so any number of them may read parts of one document at the same time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence

import msgspec

from pagemill.concurrency import gather_or_cancel
from pagemill.errors import Unavailable
from pagemill.extraction.types import READER_VERSION, Page, Reading, ReadOptions
from pagemill.objects.keys import words_prefix
from pagemill.objects.store import ObjectMissing, ObjectStore

TRANSFERS_AT_ONCE = 16
"""Objects of one document that are fetched or written at the same time."""

_NAME = re.compile(r"(\d{1,9})-of-(\d{1,9})\.msgpack")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Page)


class DocumentPages(msgspec.Struct, frozen=True, kw_only=True):
    """Some pages of a document whose words are stored; messages have this in their place.

    ``number_of_pages`` is that of the document; 0 means that nothing of it has been read.
    """

    content_key: str
    options: ReadOptions
    number_of_pages: int
    indexes: list[int]

    def __len__(self) -> int:
        return len(self.indexes)

    def missing(self, indexes: Iterable[int]) -> list[int]:
        """Return those of ``indexes`` that are not among these pages."""
        present = set(self.indexes)
        return [index for index in indexes if index not in present]


def words_prefix_of(content_key: str, options: ReadOptions) -> str:
    """Return the prefix of the words of a content, read with some options."""
    turned = "auto" if options.auto_rotate else "as-is"
    options_name = f"{options.image_quality.lower()}-{options.rotation}-{turned}"
    return words_prefix(content_key, READER_VERSION, options_name)


async def find_pages(objects: ObjectStore, content_key: str, options: ReadOptions) -> DocumentPages:
    """Return which pages of a content have been read, in order. Raises Unavailable."""
    prefix = words_prefix_of(content_key, options)
    found: dict[int, int] = {}
    async for key in objects.list(prefix):
        if name := _NAME.fullmatch(key.removeprefix(prefix)):
            found[int(name[1])] = int(name[2])
    return DocumentPages(
        content_key=content_key,
        options=options,
        number_of_pages=max(found.values(), default=0),
        indexes=sorted(found),
    )


async def store_pages(
    objects: ObjectStore, content_key: str, options: ReadOptions, reading: Reading
) -> DocumentPages:
    """Store the words of pages and return these. Raises Unavailable."""
    prefix, turns = words_prefix_of(content_key, options), asyncio.Semaphore(TRANSFERS_AT_ONCE)

    async def store(page: Page) -> None:
        async with turns:
            key = prefix + _name(page.index, reading.number_of_pages)
            # What a crash of the machine takes can be read again.
            await objects.put(key, _encoder.encode(page), durable=False)

    await gather_or_cancel(store(page) for page in reading.pages)
    return DocumentPages(
        content_key=content_key,
        options=options,
        number_of_pages=reading.number_of_pages,
        indexes=[page.index for page in reading.pages],
    )


async def load_pages(objects: ObjectStore, pages: DocumentPages, indexes: Sequence[int]) -> dict[int, Page]:
    """Return the words of those of ``indexes`` that are stored. Raises Unavailable.

    A damaged object is deleted, so that its page is read again.
    """
    prefix, turns = words_prefix_of(pages.content_key, pages.options), asyncio.Semaphore(TRANSFERS_AT_ONCE)

    async def load(index: int) -> Page | None:
        async with turns:
            return await _load(objects, prefix + _name(index, pages.number_of_pages), index)

    loaded = await gather_or_cancel(load(index) for index in indexes)
    return {page.index: page for page in loaded if page is not None}


async def words_of(objects: ObjectStore, pages: DocumentPages) -> list[Page]:
    """Return the words of all ``pages``. Raises Unavailable, also when one is gone: it can be read again."""
    loaded = await load_pages(objects, pages, pages.indexes)
    if missing := [index for index in pages.indexes if index not in loaded]:
        raise Unavailable("Words of the document are gone", detail=f"{pages.content_key}: {missing}")
    return [loaded[index] for index in pages.indexes]


def _name(index: int, number_of_pages: int) -> str:
    return f"{index:05d}-of-{number_of_pages:05d}.msgpack"


async def _load(objects: ObjectStore, key: str, index: int) -> Page | None:
    try:
        page = _decoder.decode(await objects.get(key))
    except ObjectMissing:
        return None
    except msgspec.MsgspecError:
        page = None
    if page is None or page.index != index:
        await objects.delete(key)
        return None
    return page
