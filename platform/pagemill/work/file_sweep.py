"""Sweep of what killed processes left on a node's disk: working directories, and half-written objects."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from pagemill.errors import Unavailable
from pagemill.objects import ObjectStore
from pagemill.working_directories import sweep_working_directories

SWEEP_SECONDS: Final = 600.0
"""With the time that a lock may take, the longest that something of a document is left on a node."""

logger = logging.getLogger(__name__)


async def keep_sweeping_files(objects: ObjectStore) -> None:
    """Remove what was left behind now, and again and again, until cancelled."""
    while True:
        await sweep_files(objects)
        await asyncio.sleep(SWEEP_SECONDS)


async def sweep_files(objects: ObjectStore) -> None:
    """Remove what was left behind on this node."""
    await asyncio.to_thread(sweep_working_directories)
    try:
        removed = await objects.remove_unfinished()
    except Unavailable as error:
        logger.warning("unfinished objects are not swept: %s", error.detail)
        return
    if removed:
        logger.info("removed %d objects whose upload was cut off", removed)
