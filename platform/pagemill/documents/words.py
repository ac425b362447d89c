"""The words of a document's pages, kept as one object beside its content for each way of reading it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pagemill.errors import NotFound
from pagemill.extraction.types import READER_VERSION, Page, Reading, ReadOptions
from pagemill.objects.keys import words_key
from pagemill.objects.store import ObjectStore


class CachedWords(msgspec.Struct, frozen=True):
    """How many pages the document has, and those that have been read, by index."""

    number_of_pages: int
    pages: dict[int, Page]

    def missing(self, indexes: Iterable[int]) -> list[int]:
        """Those of ``indexes`` that have not been read."""
        return [index for index in indexes if index not in self.pages]

    def merged(self, reading: Reading) -> CachedWords:
        """With the pages of ``reading``; its words replace older ones of the same page."""
        return CachedWords(
            reading.number_of_pages, {**self.pages, **{page.index: page for page in reading.pages}}
        )

    def reading(self, indexes: Iterable[int]) -> Reading:
        """Those of ``indexes`` that have been read, in that order."""
        return Reading(self.number_of_pages, [self.pages[index] for index in indexes if index in self.pages])


NOTHING_READ = CachedWords(0, {})

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(CachedWords)


def options_name(options: ReadOptions) -> str:
    """The part of the key that says how the pages were read."""
    turned = "auto" if options.auto_rotate else "as-is"
    return f"{options.image_quality.lower()}-{options.rotation}-{turned}"


def words_key_of(content_key: str, options: ReadOptions) -> str:
    """The key of the words of ``content_key``."""
    return words_key(content_key, READER_VERSION, options_name(options))


def encode(words: CachedWords) -> bytes:
    """As kept."""
    return _encoder.encode(words)


def decode(content: bytes) -> CachedWords:
    """What has been read; nothing when the object is not what it should be, so that it is read again."""
    try:
        return _decoder.decode(content)
    except msgspec.MsgspecError:
        return NOTHING_READ


async def load_words(objects: ObjectStore, content_key: str, options: ReadOptions) -> CachedWords:
    """What has been read of ``content_key``. Raises Unavailable."""
    try:
        return decode(await objects.get(words_key_of(content_key, options)))
    except NotFound:
        return NOTHING_READ


async def add_words(
    objects: ObjectStore, content_key: str, options: ReadOptions, reading: Reading
) -> CachedWords:
    """Keep ``reading`` too and return all that is kept. Raises Unavailable.

    Two writers at the same moment may lose pages of one of them; those are read again when asked for.
    """
    words = (await load_words(objects, content_key, options)).merged(reading)
    await objects.put(words_key_of(content_key, options), encode(words))
    return words
