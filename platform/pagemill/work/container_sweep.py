"""Sweep of containers whose task has ended while nobody followed them."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from db.containers import delete_abandoned_credentials, list_abandoned_subjects
from db.pool import DATABASE_ERRORS, Pool, acquire
from pagemill.containers.engine import Engine, EngineUnavailable
from pagemill.ids import OrganizationId, SubjectId
from pagemill.work.container_preparation import ORGANIZATION, SUBJECT

SWEEP_SECONDS: Final = 30.0
AWAY: Final[tuple[type[BaseException], ...]] = (EngineUnavailable, *DATABASE_ERRORS)

logger = logging.getLogger(__name__)


async def keep_sweeping(pool: Pool, engine: Engine) -> None:
    """Remove abandoned containers now, and again and again, until cancelled."""
    while True:
        try:
            await sweep_containers(pool, engine)
        except AWAY as error:
            logger.warning("containers are not swept: %s", error)
        await asyncio.sleep(SWEEP_SECONDS)


async def sweep_containers(pool: Pool, engine: Engine) -> list[SubjectId]:
    """Remove the containers of which no job is open; return their subjects.

    Those of other installations, which may share the engine, are not touched: their organizations are not
    in this database.
    """
    found = await engine.labelled(SUBJECT)
    async with acquire(pool) as connection:
        await delete_abandoned_credentials(connection)
        abandoned = await list_abandoned_subjects(
            connection,
            organization_ids=[OrganizationId(one.labels.get(ORGANIZATION, "")) for one in found],
            subject_ids=[SubjectId(one.labels[SUBJECT]) for one in found],
        )
    for one in found:
        if one.labels[SUBJECT] in abandoned:
            logger.info("container %s of %s is removed: its task has ended", one.id, one.labels[SUBJECT])
            await engine.remove(one.id, running=True)
    return abandoned
