"""Kinds of thumbnails, and their limits."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import msgspec

from pagemill.errors import BadRequest
from pagemill.rotation import ROTATIONS, Rotation

RENDERER_VERSION = "1"
"""Part of each thumbnail's key and ETag; raise it when rendering changes the result."""
LONGEST_SIDE = 4096
"""The largest width and height of a page image, in pixels."""
HIGHEST_DENSITY = 600

_PAGE = re.compile(r"-?[0-9]{1,6}")


class PageImage(msgspec.Struct, frozen=True, tag="page-image"):
    """A page as a JPEG, turned clockwise; with one of width and height it keeps its shape.

    ``page`` counts from 0, or from -1 backwards. ``density`` is in dots per inch.
    """

    page: int = 0
    rotation: Rotation = 0
    width: int | None = None
    height: int | None = None
    density: int | None = None


class LightPdf(msgspec.Struct, frozen=True, tag="light-pdf"):
    """A PDF of the same pages with fewer bytes; empty if the original cannot be made smaller."""


Thumbnail: TypeAlias = PageImage | LightPdf


def parse_thumbnail(
    *,
    width: int | None,
    height: int | None,
    page: str | None,
    rotation: int | None,
    density: int | None,
    quality: str | None,
) -> Thumbnail | None:
    """Return the thumbnail that a query asks for, None for the file as uploaded. Raises BadRequest."""
    if rotation is not None and rotation not in ROTATIONS:
        raise BadRequest(f"rotation: must be one of {', '.join(map(str, ROTATIONS))}")
    given = {"width": width, "height": height, "page": _page(page), "rotation": rotation, "density": density}
    members: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if members:
        return PageImage(**members)
    return LightPdf() if quality is not None else None


def _page(text: str | None) -> int | None:
    if text is None:
        return None
    if not _PAGE.fullmatch(text):
        raise BadRequest("page: must be an integer")
    return int(text)


def thumbnail_of(requested: Thumbnail | None, content_type: str) -> Thumbnail | None:
    """Return the thumbnail to make of a file, None for the file itself: only a PDF becomes a light PDF."""
    return None if isinstance(requested, LightPdf) and content_type != "application/pdf" else requested


def thumbnail_name(thumbnail: Thumbnail) -> str:
    """Return a name that no other thumbnail of a file has; it is part of a key and of an ETag."""
    if isinstance(thumbnail, LightPdf):
        return f"light-v{RENDERER_VERSION}.pdf"
    members = msgspec.structs.asdict(thumbnail).items()
    named = "-".join(f"{name}{value}" for name, value in members if value is not None)
    return f"{named}-v{RENDERER_VERSION}.jpg"


def thumbnail_content_type(thumbnail: Thumbnail) -> str:
    """Return the media type of a thumbnail."""
    return "application/pdf" if isinstance(thumbnail, LightPdf) else "image/jpeg"
