"""Words are kept beside the content, an object for each page, by reader and options."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pagemill.documents.words import (
    TRANSFERS_AT_ONCE,
    DocumentPages,
    find_pages,
    load_pages,
    store_pages,
    words_of,
    words_prefix_of,
)
from pagemill.errors import Unavailable
from pagemill.extraction.types import Page, Reading, ReadOptions, Word
from pagemill.objects import ObjectStore

KEY = "organizations/o/documents/d/content/c"
OPTIONS = ReadOptions()


def page(index: int, text: str = "word") -> Page:
    return Page(index, 0.7, "text", [Word(text, 0.1, 0.1, 0.2, 0.2)])


def pages(number_of_pages: int, indexes: list[int]) -> DocumentPages:
    return DocumentPages(content_key=KEY, options=OPTIONS, number_of_pages=number_of_pages, indexes=indexes)


async def keys(objects: ObjectStore) -> list[str]:
    return [key async for key in objects.list("organizations/o/documents/d/")]


async def test_nothing_is_found_before_anything_is_read(objects: ObjectStore) -> None:
    assert await find_pages(objects, KEY, OPTIONS) == pages(0, [])


async def test_pages_of_several_writers_are_found_in_order(objects: ObjectStore) -> None:
    await asyncio.gather(
        store_pages(objects, KEY, OPTIONS, Reading(12, [page(10), page(11)])),
        store_pages(objects, KEY, OPTIONS, Reading(12, [page(2), page(0)])),
    )
    assert await find_pages(objects, KEY, OPTIONS) == pages(12, [0, 2, 10, 11])


async def test_stored_pages_are_returned_in_their_order(objects: ObjectStore) -> None:
    stored = await store_pages(objects, KEY, OPTIONS, Reading(3, [page(2), page(0)]))
    assert (stored.indexes, stored.number_of_pages) == ([2, 0], 3)
    assert await words_of(objects, stored) == [page(2), page(0)]
    assert len(stored) == 2


async def test_two_writers_of_a_page_leave_one_object(objects: ObjectStore) -> None:
    await store_pages(objects, KEY, OPTIONS, Reading(1, [page(0)]))
    before = await keys(objects)
    await store_pages(objects, KEY, OPTIONS, Reading(1, [page(0)]))
    assert await keys(objects) == before
    assert len(before) == 1


async def test_each_set_of_options_has_its_own_pages(objects: ObjectStore) -> None:
    options = [
        ReadOptions(),
        ReadOptions(rotation=90),
        ReadOptions(auto_rotate=True),
        ReadOptions(image_quality="HIGH"),
    ]
    for number, each in enumerate(options):
        await store_pages(objects, KEY, each, Reading(9, [page(number)]))
    assert [(await find_pages(objects, KEY, each)).indexes for each in options] == [[0], [1], [2], [3]]
    assert all(key.startswith("organizations/o/documents/d/words/c-") for key in await keys(objects))


async def test_objects_with_other_names_are_no_pages(objects: ObjectStore) -> None:
    """One object held all words until reader version 1; somebody may have put a file there."""
    prefix = words_prefix_of(KEY, OPTIONS)
    await objects.put(prefix.removesuffix("/") + ".msgpack", b"former")
    await objects.put(f"{prefix}notes.txt", b"notes")
    await objects.put(f"{prefix}1-of-2.msgpack.old", b"old")
    assert await find_pages(objects, KEY, OPTIONS) == pages(0, [])


async def test_loaded_pages_are_as_they_were_stored(objects: ObjectStore) -> None:
    await store_pages(objects, KEY, OPTIONS, Reading(3, [page(0, "first"), page(2, "last")]))
    loaded = await load_pages(objects, pages(3, [0, 2]), [2, 0, 1])
    assert loaded == {0: page(0, "first"), 2: page(2, "last")}


@pytest.mark.parametrize("damage", ["truncated", "rubbish", "another page", "empty"])
async def test_a_damaged_page_is_deleted_to_be_read_again(objects: ObjectStore, damage: str) -> None:
    await store_pages(objects, KEY, OPTIONS, Reading(2, [page(0), page(1)]))
    first, second = await keys(objects)
    content = {
        "truncated": (await objects.get(first))[:-1],
        "rubbish": b"\xc1 not words",
        "another page": await objects.get(second),
        "empty": b"",
    }[damage]
    await objects.put(first, content)
    assert await load_pages(objects, pages(2, [0, 1]), [0, 1]) == {1: page(1)}
    assert await find_pages(objects, KEY, OPTIONS) == pages(2, [1])


async def test_words_are_loaded_in_the_order_of_the_pages(objects: ObjectStore) -> None:
    await store_pages(objects, KEY, OPTIONS, Reading(3, [page(0), page(1), page(2)]))
    assert await words_of(objects, pages(3, [2, 0])) == [page(2), page(0)]
    assert await words_of(objects, pages(3, [])) == []


async def test_words_that_are_gone_may_be_had_later(objects: ObjectStore) -> None:
    await store_pages(objects, KEY, OPTIONS, Reading(2, [page(0)]))
    with pytest.raises(Unavailable, match="gone") as caught:
        await words_of(objects, pages(2, [0, 1]))
    assert KEY not in caught.value.message


class CountingObjects:
    """Counts how many transfers are under way."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self.now = self.most = 0

    async def get(self, key: str) -> bytes:
        return await self._counted(self._objects.get(key))

    async def put(self, key: str, content: bytes, *, durable: bool = True) -> int:
        return await self._counted(self._objects.put(key, content, durable=durable))

    async def _counted(self, transfer: Any) -> Any:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await transfer
        finally:
            self.now -= 1


async def test_a_long_document_takes_a_bounded_number_of_transfers(objects: ObjectStore) -> None:
    counting: Any = CountingObjects(objects)
    number = 5 * TRANSFERS_AT_ONCE
    await store_pages(counting, KEY, OPTIONS, Reading(number, [page(index) for index in range(number)]))
    assert len(await words_of(counting, pages(number, list(range(number))))) == number
    assert 1 < counting.most <= TRANSFERS_AT_ONCE


def test_missing_pages() -> None:
    assert pages(3, [0, 2]).missing([2, 1, 0, 1]) == [1, 1]
