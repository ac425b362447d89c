"""Cache of the words of a document's pages: one object beside its content for each set of read options."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pagemill.errors import NotFound
from pagemill.extraction.types import READER_VERSION, Page, Reading, ReadOptions
from pagemill.objects.keys import words_key
from pagemill.objects.store import ObjectStore


class CachedWords(msgspec.Struct, frozen=True):
    """Words of a document: the number of its pages, and the pages that have been read, by index."""

    number_of_pages: int
    pages: dict[int, Page]

    def missing(self, indexes: Iterable[int]) -> list[int]:
        """Return those of ``indexes`` that have not been read."""
        return [index for index in indexes if index not in self.pages]

    def merged(self, reading: Reading) -> CachedWords:
        """Return these words with the pages of ``reading``, which replace older ones of the same page."""
        return CachedWords(
            reading.number_of_pages, {**self.pages, **{page.index: page for page in reading.pages}}
        )

    def reading(self, indexes: Iterable[int]) -> Reading:
        """Return those pages of ``indexes`` that have been read, in that order."""
        return Reading(self.number_of_pages, [self.pages[index] for index in indexes if index in self.pages])


NOTHING_READ = CachedWords(0, {})

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(CachedWords)


def options_name(options: ReadOptions) -> str:
    """Return the part of the key that identifies the options."""
    turned = "auto" if options.auto_rotate else "as-is"
    return f"{options.image_quality.lower()}-{options.rotation}-{turned}"


def words_key_of(content_key: str, options: ReadOptions) -> str:
    """Return the key of the words of a content."""
    return words_key(content_key, READER_VERSION, options_name(options))


def encode(words: CachedWords) -> bytes:
    """Return the bytes of the object."""
    return _encoder.encode(words)


def decode(content: bytes) -> CachedWords:
    """Return the words in an object; none if its bytes are invalid, so that the document is read again."""
    try:
        return _decoder.decode(content)
    except msgspec.MsgspecError:
        return NOTHING_READ


async def load_words(objects: ObjectStore, content_key: str, options: ReadOptions) -> CachedWords:
    """Return the words that have been read of a content. Raises Unavailable."""
    try:
        return decode(await objects.get(words_key_of(content_key, options)))
    except NotFound:
        return NOTHING_READ


async def add_words(
    objects: ObjectStore, content_key: str, options: ReadOptions, reading: Reading
) -> CachedWords:
    """Add the pages of ``reading`` to the stored words and return all of them. Raises Unavailable.

    Of two writers at the same moment one may lose pages; those are read again when they are needed.
    """
    words = (await load_words(objects, content_key, options)).merged(reading)
    await objects.put(words_key_of(content_key, options), encode(words))
    return words
