"""Messages between the renderer and its child processes; each is followed by bytes."""

from __future__ import annotations

import msgspec

from pagemill.documents.thumbnails.thumbnail import Thumbnail

MEBIBYTE = 1024 * 1024
MAXIMUM_PIXELS = 40_000_000
"""The largest image that is decoded, and the largest that is made."""
MEMORY_BYTES = 1536 * MEBIBYTE
RENDER_SECONDS = 30
"""The longest time for one thumbnail, and for its processor."""


class RenderRequest(msgspec.Struct, frozen=True):
    """A thumbnail to make; followed by ``size`` bytes of a document."""

    thumbnail: Thumbnail
    content_type: str
    size: int


class RenderReply(msgspec.Struct, frozen=True):
    """The result; followed by ``size`` bytes of the thumbnail. ``problem`` is the client's error message."""

    size: int = 0
    problem: str | None = None
