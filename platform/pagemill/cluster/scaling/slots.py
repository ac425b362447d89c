"""Slots of the dispatchers: so many predictions run at a time that no replica that reads is without work."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

from ray import serve

from pagemill.applications.clients import parts_per_replica
from pagemill.applications.requests import READING
from pagemill.cluster.assignment import Share
from pagemill.jobs.dispatcher import Dispatcher
from pagemill.settings import Settings
from pagemill.work.predictions import PREDICTION

LOOK_SECONDS = 5.0
SPARE = 1.25
"""Jobs for each place of a replica: some are about to begin or to end. More would only wait where a newcomer
cannot pass them: with 1.5 some organizations wait 1.6 times as long as they should (rehearsal 10)."""

logger = logging.getLogger(__name__)


def prediction_slots(settings: Settings, replicas: int) -> int:
    """Return how many predictions all dispatchers together run at a time beside so many reading replicas.

    It is never less than is set.
    """
    places = replicas * parts_per_replica(settings)
    return max(settings.prediction_concurrency, math.ceil(SPARE * places))


def running_readers() -> int:
    """Return how many reading replicas answer. Blocks; raises what Serve raises."""
    application = serve.status().applications.get(READING)
    if application is None:
        return 0
    return sum(
        number
        for deployment in application.deployments.values()
        for state, number in deployment.replica_states.items()
        if state == "RUNNING"
    )


async def follow_capacity(
    dispatcher: Dispatcher,
    settings: Settings,
    share: Share,
    *,
    replicas: Callable[[], int] = running_readers,
    interval: float = LOOK_SECONDS,
) -> None:
    """Give a dispatcher its share of the slots that the replicas have use for, until it is cancelled.

    While Serve cannot be asked the slots stay as they are.
    """
    slots = share.slots(settings.prediction_concurrency)
    while True:
        try:
            wanted = share.slots(prediction_slots(settings, await asyncio.to_thread(replicas)))
        except Exception as error:  # noqa: BLE001 - Serve raises many; without an answer nothing changes
            logger.debug("the reading replicas cannot be counted: %s", error)
        else:
            if wanted != slots:
                logger.info("%d predictions run at a time instead of %d", wanted, slots)
                dispatcher.set_concurrency(PREDICTION.name, wanted)
                slots = wanted
        await asyncio.sleep(interval)
