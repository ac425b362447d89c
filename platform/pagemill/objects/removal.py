"""Removing what no row names any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from pagemill.errors import PagemillError
from pagemill.objects.store import ObjectStore

REMOVED_AT_ONCE = 16

logger = logging.getLogger(__name__)


async def remove(objects: ObjectStore, *, keys: Iterable[str] = (), prefixes: Iterable[str] = ()) -> int:
    """Delete objects, and everything below prefixes, a few at a time; how many of the names are gone.

    Best effort: the rows are gone, so nobody can reach what a failure leaves behind. It is logged.
    """
    gate = asyncio.Semaphore(REMOVED_AT_ONCE)

    async def attempt(name: str) -> bool:
        async with gate:
            try:
                await (objects.delete_prefix(name) if name.endswith("/") else objects.delete(name))
            except PagemillError as error:
                logger.warning("%s was not deleted: %s", name, error.detail or error.message)
                return False
            return True

    return sum(await asyncio.gather(*(attempt(name) for name in (*keys, *prefixes))))
