"""TIFFs whose directories lie."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator, Mapping

from tests.unit.extraction.bad.case import BadDocument, refused
from tests.unit.extraction.bad.images import TOO_MANY, blank
from tests.unit.extraction.documents import encoded

SHORT, LONG = 3, 4
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PREDICTOR = 273, 277, 278, 279, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
SEED = 20260316
PIXELS = b"\xff" * (60 * 40)
PLAIN: Mapping[int, int] = {
    WIDTH: 60,
    HEIGHT: 40,
    BITS: 8,
    COMPRESSION: 1,
    PHOTOMETRIC: 1,
    STRIP_OFFSETS: 8,
    SAMPLES: 1,
    ROWS_PER_STRIP: 40,
    STRIP_COUNTS: len(PIXELS),
}
LIES: Mapping[str, Mapping[int, int]] = {
    "huge-rows": {ROWS_PER_STRIP: 2**32 - 1},
    "no-rows": {ROWS_PER_STRIP: 0},
    "offset-beyond": {STRIP_OFFSETS: 2**32 - 2},
    "offset-itself": {STRIP_OFFSETS: 0},
    "count-huge": {STRIP_COUNTS: 2**32 - 2},
    "count-none": {STRIP_COUNTS: 0},
    "bits-many": {BITS: 1000},
    "bits-none": {BITS: 0},
    "samples-many": {SAMPLES: 65_535},
    "samples-none": {SAMPLES: 0},
    "colours-unknown": {PHOTOMETRIC: 4242},
    "packing-unknown": {COMPRESSION: 4242},
    "packing-fax": {COMPRESSION: 4, BITS: 1},
    "packing-lzw": {COMPRESSION: 5},
    "packing-old-jpeg": {COMPRESSION: 6, PHOTOMETRIC: 6},
    "packing-jpeg": {COMPRESSION: 7, PHOTOMETRIC: 6},
    "packing-deflate": {COMPRESSION: 8},
    "packing-lzma": {COMPRESSION: 34925},
    "packing-webp": {COMPRESSION: 50001},
    "packing-jbig": {COMPRESSION: 34661, BITS: 1},
    "predictor": {COMPRESSION: 8, PREDICTOR: 999},
    "float": {BITS: 32, 339: 3},
    "tiles": {TILE_WIDTH: 2**31 - 16, TILE_HEIGHT: 2**31 - 16, TILE_OFFSETS: 8, TILE_COUNTS: 9},
    "no-tiles": {TILE_WIDTH: 0, TILE_HEIGHT: 0, TILE_OFFSETS: 8, TILE_COUNTS: 9},
}


def directory(tags: Mapping[int, int], following: int = 0, count: int = 1) -> bytes:
    """A directory of a little-endian TIFF, and where the next one is."""
    entries = [struct.pack("<HHII", tag, LONG, count, value) for tag, value in sorted(tags.items())]
    return struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following)


def tiff(tags: Mapping[int, int], data: bytes = PIXELS, following: int = 0, count: int = 1) -> bytes:
    """A TIFF with one directory that stands behind its data."""
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory(tags, following, count)


def tiffs() -> Iterator[BadDocument]:
    """Return all of them."""
    yield from sizes()
    yield from chains()
    for name, lie in LIES.items():
        yield BadDocument(f"tiff-{name}", tiff({**PLAIN, **lie}))
    junk = random.Random(SEED).randbytes(9000)
    for compression in (2, 3, 4, 5, 7, 8, 32773, 34925, 50000, 50001):
        lie = {COMPRESSION: compression, STRIP_COUNTS: len(junk), BITS: 1 if compression < 5 else 8}
        yield BadDocument(f"tiff-rubbish-{compression}", tiff({**PLAIN, **lie}, junk))


def sizes() -> Iterator[BadDocument]:
    yield BadDocument("tiff-plain", tiff(PLAIN), "read")
    yield refused("tiff-square-bomb", tiff({**PLAIN, WIDTH: 50_000, HEIGHT: 50_000}), TOO_MANY)
    yield refused("tiff-largest", tiff({**PLAIN, WIDTH: 2**32 - 1, HEIGHT: 2**32 - 1}))
    yield refused("tiff-no-size", tiff({**PLAIN, WIDTH: 0, HEIGHT: 0}))
    yield refused("tiff-nothing-known", tiff({}))
    yield BadDocument("tiff-values-many", tiff(PLAIN, count=2**32 - 1))
    yield BadDocument("tiff-values-none", tiff(PLAIN, count=0))
    bomb = zlib.compress(bytes(36_000_000), 9)
    large = {
        **PLAIN,
        WIDTH: 6000,
        HEIGHT: 6000,
        COMPRESSION: 8,
        ROWS_PER_STRIP: 6000,
        STRIP_COUNTS: len(bomb),
    }
    yield BadDocument("tiff-deflated-large", tiff({**large, WIDTH: 60, HEIGHT: 40}, bomb))
    yield BadDocument("tiff-deep-samples", tiff({**large, BITS: 16, SAMPLES: 60}, bomb))
    big = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**63)
    yield BadDocument("tiff-big-endless", big + bytes(100))


def chains() -> Iterator[BadDocument]:
    """Directories that follow one another."""
    at = 8 + len(PIXELS)
    yield BadDocument("tiff-loop", tiff(PLAIN, following=at))
    length = len(directory(PLAIN))
    head = b"II*\0" + struct.pack("<I", at) + PIXELS
    yield BadDocument("tiff-loop-of-two", head + directory(PLAIN, at + length) + directory(PLAIN, at))
    yield BadDocument("tiff-next-beyond", tiff(PLAIN, following=2**32 - 2))
    yield refused("tiff-hundred-thousand", many_frames(100_000), "The document has more than 2000 pages")
    second = head + directory(PLAIN, at + length) + directory({**PLAIN, WIDTH: 50_000, HEIGHT: 50_000})
    yield BadDocument("tiff-second-is-bomb", second)
    wide = struct.pack("<H", 65_535) + bytes(12 * 65_535)
    yield BadDocument("tiff-many-tags", head + wide)
    cut = encoded(blank(), "TIFF", compression="tiff_lzw")
    yield BadDocument("tiff-cut", cut[: len(cut) - 40])


def many_frames(count: int) -> bytes:
    """A TIFF of frames of one pixel each."""
    tags = {WIDTH: 1, HEIGHT: 1, BITS: 8, COMPRESSION: 1, PHOTOMETRIC: 1, STRIP_OFFSETS: 8, STRIP_COUNTS: 1}
    step = len(directory(tags))
    following = (9 + step * number if number < count else 0 for number in range(1, count + 1))
    return b"II*\0" + struct.pack("<I", 9) + b"\0" + b"".join(directory(tags, at) for at in following)
