"""Removal of deleted documents from data bundles: their words and labels are in the files of the bundles.

A bundle is compared with the documents that exist, so it does not matter when and how the others went, and
which dataset they were in. Files are replaced as a whole: a training that reads one finds the old or the new.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

from db.object_owners import (
    BundleOwnerRow,
    ObjectOwnerRow,
    find_bundled_documents,
    list_data_bundles,
    list_data_bundles_of_others,
)
from db.statements import Connection
from pagemill.documents.bundle_contents import BundleContents, BundleFile, load_contents, save_contents
from pagemill.ids import OrganizationId
from pagemill.objects import ObjectMissing, ObjectStore

Connect: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]
Bundle: TypeAlias = ObjectOwnerRow | BundleOwnerRow

PAGE_SIZE = 100
DOCUMENTS_AT_ONCE = 1000

logger = logging.getLogger(__name__)


async def erase_deleted_documents(
    connect: Connect, objects: ObjectStore, organization_id: OrganizationId
) -> int:
    """Remove documents that do not exist any more from an organization's bundles; return how many.

    The same is done in the bundles of others that have learned from its shared datasets. Bundles that are
    being made are left alone: they follow the next time. Raises Unavailable.
    """

    async def own(connection: Connection, after_id: str) -> Sequence[Bundle]:
        return await list_data_bundles(
            connection, organization_id=organization_id, after_id=after_id, limit=PAGE_SIZE
        )

    async def of_others(connection: Connection, after_id: str) -> Sequence[Bundle]:
        return await list_data_bundles_of_others(
            connection, owner_id=organization_id, after_id=after_id, limit=PAGE_SIZE
        )

    return await _erase_all(connect, objects, own) + await _erase_all(connect, objects, of_others)


async def _erase_all(
    connect: Connect, objects: ObjectStore, find: Callable[[Connection, str], Awaitable[Sequence[Bundle]]]
) -> int:
    erased, after_id = 0, ""
    while True:
        async with connect() as connection:
            bundles = await find(connection, after_id)
        for bundle in bundles:
            erased += await _erase(connect, objects, bundle)
        if len(bundles) < PAGE_SIZE:
            return erased
        after_id = bundles[-1].id


async def _erase(connect: Connect, objects: ObjectStore, bundle: Bundle) -> int:
    key = bundle.object_key
    if key is None or not key.endswith("/"):
        return 0
    try:
        contents = await load_contents(objects, key)
        gone = await _deleted(connect, contents)
        if gone:
            files = [await _without(objects, key, file, gone) for file in contents.files]
            await save_contents(objects, key, BundleContents(files))
    except ObjectMissing:
        # The bundle was deleted meanwhile, or lost: the sweep reports that.
        return 0
    if gone:
        logger.info("%s: removed %d deleted documents", bundle.id, len(gone))
    return len(gone)


async def _deleted(connect: Connect, contents: BundleContents) -> set[str]:
    """Return those of a bundle's documents that do not exist."""
    named = [document for file in contents.files for document in file.documents]
    existing: set[str] = set()
    for begin in range(0, len(named), DOCUMENTS_AT_ONCE):
        async with connect() as connection:
            existing.update(
                await find_bundled_documents(
                    connection, document_ids=named[begin : begin + DOCUMENTS_AT_ONCE]
                )
            )
    return set(named) - existing


async def _without(
    objects: ObjectStore, bundle_key: str, file: BundleFile, gone: Collection[str]
) -> BundleFile:
    """Write a file without some documents, if it has any of them, and return what is in it then."""
    kept = [document for document in file.documents if document not in gone]
    if len(kept) < len(file.documents):
        content = await objects.get(bundle_key + file.name)
        await objects.put(bundle_key + file.name, await asyncio.to_thread(_with_only, content, kept))
    return BundleFile(file.name, kept)


def _with_only(content: bytes, documents: Collection[str]) -> bytes:
    from pagemill.documents import bundle_files  # Arrow takes 60 MB, and few organizations delete every day.

    return bundle_files.encode(bundle_files.with_only(bundle_files.decode(content), documents))
