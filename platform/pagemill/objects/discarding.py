"""Deletion of objects that no row names any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from pagemill.errors import PagemillError
from pagemill.objects.store import ObjectStore

CONCURRENCY = 16

logger = logging.getLogger(__name__)


async def discard(objects: ObjectStore, *, keys: Iterable[str] = (), prefixes: Iterable[str] = ()) -> int:
    """Delete objects, and everything below prefixes; return how many of the names were deleted.

    Failures are logged and not raised: without a row, nobody can reach the objects that stay.
    """
    slots = asyncio.Semaphore(CONCURRENCY)

    async def attempt(name: str) -> bool:
        async with slots:
            try:
                await (objects.delete_prefix(name) if name.endswith("/") else objects.delete(name))
            except PagemillError as error:
                logger.warning("%s was not deleted: %s", name, error.detail or error.message)
                return False
            return True

    return sum(await asyncio.gather(*(attempt(name) for name in (*keys, *prefixes))))
