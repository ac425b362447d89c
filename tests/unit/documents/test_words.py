"""Words are kept beside the content, by reader and options, and merged page by page."""

from __future__ import annotations

from pagemill.documents.words import (
    NOTHING_READ,
    CachedWords,
    add_words,
    decode,
    encode,
    load_words,
    words_key_of,
)
from pagemill.extraction.types import Page, Reading, ReadOptions, Word
from pagemill.objects import ObjectStore

KEY = "organizations/o/documents/d/content/c"
OPTIONS = ReadOptions()


def page(index: int, text: str = "word") -> Page:
    return Page(index, 0.7, "text", [Word(text, 0.1, 0.1, 0.2, 0.2)])


def test_merging_keeps_pages_and_replaces_those_read_again() -> None:
    words = CachedWords(3, {0: page(0, "old"), 1: page(1)})
    merged = words.merged(Reading(3, [page(0, "new"), page(2)]))
    assert [merged.pages[index].words[0].text for index in (0, 1, 2)] == ["new", "word", "word"]
    assert words.missing([2, 0]) == [2]
    assert merged.missing([2, 0]) == []


def test_a_reading_has_the_requested_order() -> None:
    words = CachedWords(3, {0: page(0), 2: page(2)})
    assert [page.index for page in words.reading([2, 1, 0]).pages] == [2, 0]


def test_encoded_words_are_decoded() -> None:
    words = CachedWords(2, {1: page(1)})
    assert decode(encode(words)) == words


def test_an_invalid_object_counts_as_nothing_read() -> None:
    assert decode(b"\xc1 not words") == NOTHING_READ


def test_each_set_of_options_has_its_own_key() -> None:
    options = [
        ReadOptions(),
        ReadOptions(rotation=90),
        ReadOptions(auto_rotate=True),
        ReadOptions(image_quality="HIGH"),
    ]
    keys = {words_key_of(KEY, each) for each in options}
    assert len(keys) == len(options)
    assert all(key.startswith("organizations/o/documents/d/words/c-") for key in keys)


async def test_words_are_added_to_the_stored_ones(objects: ObjectStore) -> None:
    assert await load_words(objects, KEY, OPTIONS) == NOTHING_READ
    await add_words(objects, KEY, OPTIONS, Reading(2, [page(0)]))
    await add_words(objects, KEY, OPTIONS, Reading(2, [page(1)]))
    assert sorted((await load_words(objects, KEY, OPTIONS)).pages) == [0, 1]
    assert await load_words(objects, KEY, ReadOptions(rotation=90)) == NOTHING_READ
