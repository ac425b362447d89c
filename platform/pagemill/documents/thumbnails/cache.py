"""Cache of thumbnails, kept as objects beside a document's content."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from db.documents import get_document
from db.pool import Pool, acquire
from pagemill.documents.content import StoredContent
from pagemill.documents.thumbnails.render_messages import RenderRequest
from pagemill.documents.thumbnails.renderer import Renderer
from pagemill.documents.thumbnails.thumbnail import Thumbnail, thumbnail_content_type, thumbnail_name
from pagemill.ids import DocumentId, OrganizationId
from pagemill.objects import ObjectMissing, ObjectStore
from pagemill.objects.discarding import discard
from pagemill.objects.keys import thumbnails_prefix

MAXIMUM_THUMBNAILS = 256
"""Most thumbnails kept of one content; when there are as many, they are deleted and made again."""


@dataclass(frozen=True, slots=True)
class Download:
    """An object to download."""

    key: str
    size: int
    content_type: str


class ThumbnailCache:
    """Thumbnails of documents, made when they are first requested; one cache for each API process.

    Requests for the same thumbnail at the same time wait for one rendering.
    """

    def __init__(self, pool: Pool, objects: ObjectStore, renderer: Renderer) -> None:
        self._pool, self._objects, self._renderer = pool, objects, renderer
        self._rendering: dict[str, asyncio.Task[None]] = {}

    async def download(
        self,
        organization_id: OrganizationId,
        document_id: DocumentId,
        content: StoredContent,
        thumbnail: Thumbnail | None,
    ) -> Download:
        """Return the thumbnail of a document's content; the content itself for None, or if it is smaller.

        Raises BadRequest for a file that cannot be rendered, Unavailable, and ObjectMissing when the content
        was replaced meanwhile.
        """
        original = Download(content.key, content.size, content.content_type)
        if thumbnail is None:
            return original
        key = thumbnails_prefix(content.key) + thumbnail_name(thumbnail)
        try:
            size = await self._objects.size(key)
        except ObjectMissing:
            await self._render_once(key, organization_id, document_id, content, thumbnail)
            size = await self._objects.size(key)
        if size == 0:
            return original
        return Download(key, size, thumbnail_content_type(thumbnail))

    async def close(self) -> None:
        """Cancel the thumbnails that are being made, and end the renderer."""
        for task in list(self._rendering.values()):
            task.cancel()
        await asyncio.gather(*self._rendering.values(), return_exceptions=True)
        await self._renderer.close()

    async def _render_once(
        self,
        key: str,
        organization_id: OrganizationId,
        document_id: DocumentId,
        content: StoredContent,
        thumbnail: Thumbnail,
    ) -> None:
        task = self._rendering.get(key)
        if task is None:
            rendering = self._render(key, organization_id, document_id, content, thumbnail)
            task = self._rendering[key] = asyncio.create_task(rendering)
            task.add_done_callback(lambda ended: self._forget(key, ended))
        # A client that disconnects does not cancel it for the others that wait.
        await asyncio.shield(task)

    def _forget(self, key: str, ended: asyncio.Task[None]) -> None:
        del self._rendering[key]
        if not ended.cancelled():
            ended.exception()  # retrieved even if nobody waits for it any more

    async def _render(
        self,
        key: str,
        organization_id: OrganizationId,
        document_id: DocumentId,
        content: StoredContent,
        thumbnail: Thumbnail,
    ) -> None:
        prefix = thumbnails_prefix(content.key)
        await self._make_room(prefix)
        request = RenderRequest(thumbnail, content.content_type, content.size)
        rendered = self._renderer.render(request, self._objects.stream(content.key))
        async with contextlib.aclosing(rendered) as pieces:
            await self._objects.put(key, pieces)
        # A request that replaces or deletes the content deletes its thumbnails: one written later would stay.
        async with acquire(self._pool) as connection:
            now = await get_document(connection, organization_id=organization_id, document_id=document_id)
        if now is None or now.content_key != content.key:
            await discard(self._objects, prefixes=[prefix])
            raise ObjectMissing(content.key)

    async def _make_room(self, prefix: str) -> None:
        """Delete the thumbnails of a content when there are too many: storage is bounded."""
        kept = 0
        async for _ in self._objects.list(prefix):
            kept += 1
        if kept >= MAXIMUM_THUMBNAILS:
            await discard(self._objects, prefixes=[prefix])
