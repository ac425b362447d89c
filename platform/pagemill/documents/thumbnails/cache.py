"""Renditions of documents' files: made when first asked for, kept as objects beside the content."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec

from db.documents import GET_DOCUMENT
from db.pool import acquire
from pagemill.documents.thumbnails.messages import Lighter, Picture, RenderRequest, Rendition
from pagemill.documents.thumbnails.renderer import Renderer
from pagemill.errors import BadRequest
from pagemill.objects import ObjectMissing, ObjectStore
from pagemill.objects.keys import renditions_prefix
from pagemill.objects.removal import remove

RENDERER_VERSION = "1"
"""Part of every rendition's key and ETag; raise it when rendering changes what comes out."""
KEPT_OF_A_CONTENT = 256
ROTATIONS = (0, 90, 180, 270)

_PAGE = re.compile(r"-?[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class File:
    """Something that can be downloaded."""

    key: str
    size: int
    content_type: str


def asked_rendition(
    *,
    width: int | None,
    height: int | None,
    page: str | None,
    rotation: int | None,
    density: int | None,
    quality: str | None,
) -> Rendition | None:
    """What the query asks for; None is the file as it was uploaded. Raises BadRequest."""
    if rotation is not None and rotation not in ROTATIONS:
        raise BadRequest(f"rotation: must be one of {', '.join(map(str, ROTATIONS))}")
    given = {"width": width, "height": height, "page": _page(page), "rotation": rotation, "density": density}
    members: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if members:
        return Picture(**members)
    return Lighter() if quality is not None else None


def _page(text: str | None) -> int | None:
    if text is None:
        return None
    if not _PAGE.fullmatch(text):
        raise BadRequest("page: must be an integer")
    return int(text)


def rendition_for(asked: Rendition | None, content_type: str) -> Rendition | None:
    """What is made of a document: only PDFs can be made lighter."""
    return None if isinstance(asked, Lighter) and content_type != "application/pdf" else asked


def rendition_name(rendition: Rendition) -> str:
    """Different for different renditions; part of a key and of an ETag."""
    if isinstance(rendition, Lighter):
        return f"lighter-v{RENDERER_VERSION}.pdf"
    members = msgspec.structs.asdict(rendition).items()
    named = "-".join(f"{name}{value}" for name, value in members if value is not None)
    return f"{named}-v{RENDERER_VERSION}.jpg"


def rendition_type(rendition: Rendition) -> str:
    return "application/pdf" if isinstance(rendition, Lighter) else "image/jpeg"


class Renditions:
    """One for each API process: the same rendition is made once at a time, whoever asks for it."""

    def __init__(self, pool: asyncpg.Pool, objects: ObjectStore, renderer: Renderer) -> None:
        self._pool, self._objects, self._renderer = pool, objects, renderer
        self._making: dict[str, asyncio.Task[None]] = {}

    async def file_of(self, organization_id: str, row: asyncpg.Record, rendition: Rendition | None) -> File:
        """The rendition of a document's content; the content itself when nothing is lighter.

        Raises BadRequest for what cannot be rendered, Unavailable, and ObjectMissing when the content was
        replaced meanwhile.
        """
        original = File(row["content_key"], row["content_size"], row["content_type"])
        if rendition is None:
            return original
        key = renditions_prefix(original.key) + rendition_name(rendition)
        try:
            size = await self._objects.size(key)
        except ObjectMissing:
            await self._make_once(key, organization_id, row, rendition)
            size = await self._objects.size(key)
        if size == 0:
            return original
        return File(key, size, rendition_type(rendition))

    async def close(self) -> None:
        """Give up what is being made."""
        for task in list(self._making.values()):
            task.cancel()
        await asyncio.gather(*self._making.values(), return_exceptions=True)
        await self._renderer.close()

    async def _make_once(
        self, key: str, organization_id: str, row: asyncpg.Record, rendition: Rendition
    ) -> None:
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.create_task(self._make(key, organization_id, row, rendition))
            task.add_done_callback(lambda ended: self._forget(key, ended))
        # A client that goes away does not take it from the others who wait.
        await asyncio.shield(task)

    def _forget(self, key: str, ended: asyncio.Task[None]) -> None:
        del self._making[key]
        if not ended.cancelled():
            ended.exception()  # also when nobody waits for it any more

    async def _make(self, key: str, organization_id: str, row: asyncpg.Record, rendition: Rendition) -> None:
        content_key, prefix = row["content_key"], renditions_prefix(row["content_key"])
        await self._make_room(prefix)
        request = RenderRequest(rendition, row["content_type"], row["content_size"])
        rendering = self._renderer.render(request, self._objects.stream(content_key))
        async with contextlib.aclosing(rendering) as pieces:
            await self._objects.put(key, pieces)
        # Who replaces or deletes the content removes what is kept of it: an object written later would stay.
        async with acquire(self._pool) as connection:
            now = await GET_DOCUMENT.fetch_one(connection, organization_id, row["id"])
        if now is None or now["content_key"] != content_key:
            await remove(self._objects, prefixes=[prefix])
            raise ObjectMissing(content_key)

    async def _make_room(self, prefix: str) -> None:
        """Whoever asks for ever other sizes begins anew at some point: storage has an end."""
        kept = 0
        async for _ in self._objects.list(prefix):
            kept += 1
        if kept >= KEPT_OF_A_CONTENT:
            await remove(self._objects, prefixes=[prefix])
