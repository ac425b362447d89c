"""What the renderer and its children say to each other: length-prefixed msgpack, each followed by bytes."""

from __future__ import annotations

from typing import Literal

import msgspec

MEBIBYTE = 1024 * 1024
LONGEST_SIDE = 4096
"""The largest width and height that can be asked for."""
HIGHEST_DENSITY = 600
MAXIMUM_PIXELS = 40_000_000
"""Of what is decoded, and of what comes out."""
MEMORY_BYTES = 1536 * MEBIBYTE
SECONDS = 30
"""How long one rendition may take; the kernel ends the child then."""
READY = b"r"

Rotation = Literal[0, 90, 180, 270]


class Picture(msgspec.Struct, frozen=True, tag="picture"):
    """A page as a JPEG, turned clockwise first; with one of width and height, its shape is kept.

    ``page`` counts from 0, or from -1 backwards. ``density`` is in dots per inch.
    """

    page: int = 0
    rotation: Rotation = 0
    width: int | None = None
    height: int | None = None
    density: int | None = None


class Lighter(msgspec.Struct, frozen=True, tag="lighter"):
    """A PDF of the same pages with fewer bytes; nothing when the original is the lightest."""


Rendition = Picture | Lighter


class RenderRequest(msgspec.Struct, frozen=True):
    """Followed by ``size`` bytes of a document."""

    rendition: Rendition
    content_type: str
    size: int


class RenderReply(msgspec.Struct, frozen=True):
    """Followed by ``size`` bytes of the rendition; ``problem`` says, for the client, why there is none."""

    size: int = 0
    problem: str | None = None
