"""Seeded damage to valid files."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from unittest import mock

from PIL import ImageDraw
from reportlab import rl_config

from tests.unit.extraction import documents
from tests.unit.extraction.bad.case import BadDocument
from tests.unit.extraction.bad.images import blank
from tests.unit.extraction.documents import encoded

SEED = 20260317
Damage = Callable[[bytes, random.Random], bytes]


def flip(content: bytes, chance: random.Random) -> bytes:
    """A few bytes are others."""
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 4, 32))):
        damaged[chance.randrange(8, len(damaged))] = chance.randrange(256)
    return bytes(damaged)


def cut(content: bytes, chance: random.Random) -> bytes:
    """The end is missing."""
    return content[: chance.randrange(8, len(content))]


def lose(content: bytes, chance: random.Random) -> bytes:
    """A part in the middle is missing."""
    start = chance.randrange(8, len(content))
    return content[:start] + content[start + chance.randrange(1, 200) :]


def double(content: bytes, chance: random.Random) -> bytes:
    """A part is there twice."""
    start = chance.randrange(8, len(content))
    end = start + chance.randrange(1, 400)
    return content[:end] + content[start:end] + content[end:]


def swap(content: bytes, chance: random.Random) -> bytes:
    """Two parts have changed places."""
    a, b, c = sorted(chance.randrange(8, len(content)) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def renumber(content: bytes, chance: random.Random) -> bytes:
    """Numbers, which are lengths and positions, are others."""
    places = [found.span() for found in re.finditer(rb"\d+", content[8:])]
    if not places:
        return flip(content, chance)
    damaged = content
    for start, end in sorted(chance.sample(places, min(3, len(places))), reverse=True):
        number = str(chance.choice((0, 1, 7, 255, 65_536, 2**31 - 1, 2**32, 10**19, -1))).encode()
        damaged = damaged[: start + 8] + number + damaged[end + 8 :]
    return damaged


def overwrite(content: bytes, chance: random.Random) -> bytes:
    """Four bytes, which may be a length, are extreme."""
    start = chance.randrange(8, max(9, len(content) - 4))
    return (
        content[:start] + chance.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff")) + content[start + 4 :]
    )


DAMAGES: tuple[Damage, ...] = (flip, cut, lose, double, swap, renumber, overwrite)


def sound() -> dict[str, bytes]:
    """The files that are damaged: small, and pictures with one short word."""
    picture = blank(120, 40)
    ImageDraw.Draw(picture).text((8, 12), "Total", fill="black")
    # Without the time of day in them.
    with mock.patch.object(rl_config, "invariant", 1):
        pdfs = {
            "pdf": documents.text_pdf(2),
            "form": documents.form_pdf(),
            "scan": documents.scanned_pdf(),
        }
    return {
        **pdfs,
        "jpeg": encoded(picture, "JPEG"),
        "progressive": encoded(picture, "JPEG", progressive=True),
        "png": encoded(picture, "PNG"),
        "tiff": encoded(picture, "TIFF", save_all=True, append_images=[picture], compression="tiff_lzw"),
        "webp": encoded(picture, "WEBP"),
    }


def mutations(times: int) -> Iterator[BadDocument]:
    """Each file, damaged in each way so many times."""
    for kind, content in sound().items():
        for damage in DAMAGES:
            for number in range(times):
                chance = random.Random(f"{SEED}:{kind}:{damage.__name__}:{number}")
                yield BadDocument(f"{kind}-{damage.__name__}-{number}", damage(content, chance))
