"""The dispatcher as a Ray actor: detached, named, and started again whenever it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import ray

from db.pool import PLANNED_ONCE, create_pool
from pagemill.applications.clients import (
    ApplicationClient,
    PredictionApplication,
    ReadingApplication,
    parts_at_once,
)
from pagemill.cluster.scaling.slots import follow_capacity
from pagemill.concurrency import cancel_and_wait
from pagemill.jobs.dispatcher import Dispatcher
from pagemill.logging_setup import configure_logging
from pagemill.objects import ObjectStore, open_objects
from pagemill.secret_box import open_secret_box
from pagemill.settings import Settings, load_settings
from pagemill.usage.client import UsageClient
from pagemill.work.kinds import KINDS, DispatcherResources
from pagemill.work.mail import announce_mail_service
from train_jobs.bundle import DataBundleRunner
from train_jobs.train import TrainingRunner

NAME = "dispatcher"
APPLICATION_NAME = "pagemill dispatcher"
FAULT_STATUS = 1

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DispatcherKeys:
    """Keys that only the dispatcher is given; the environment of Ray's processes does not have them."""

    secret_keys: str = field(default="", repr=False)
    smtp_password: str | None = field(default=None, repr=False)


class DispatcherActor:
    """Actor that dispatches jobs from its creation on.

    It holds no truth: two of them do no harm, and its death loses nothing.
    """

    def __init__(self, keys: DispatcherKeys | None = None) -> None:
        keys = keys or DispatcherKeys()
        self._settings = msgspec.structs.replace(
            load_settings(os.environ), secret_keys=keys.secret_keys, smtp_password=keys.smtp_password
        )
        # Ray's workers show warnings without a time, and nothing else.
        configure_logging(self._settings.log_level)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._dispatcher: Dispatcher | None = None
        self._work = asyncio.get_running_loop().create_task(self._run())
        self._work.add_done_callback(_end_with_a_fault)

    @ray.method
    async def status(self) -> dict[str, Any]:
        """Return its name, whether it hears of new jobs at once, and how many jobs of each kind it runs."""
        dispatcher = self._dispatcher
        running = Counter(job.kind for job in dispatcher.running) if dispatcher else Counter()
        return {
            "owner": self._owner,
            "listening": dispatcher is not None and dispatcher.is_listening,
            "running": dict(running),
        }

    @ray.method
    async def stop(self) -> None:
        """Give running jobs back to the queue and claim no more; return when that is done."""
        if self._dispatcher is not None:
            self._dispatcher.stop()
            await self._work

    async def _run(self) -> None:
        settings = self._settings
        async with contextlib.AsyncExitStack() as stack:
            pool = await create_pool(
                settings.database_url, size=settings.database_pool_size, application_name=APPLICATION_NAME
            )
            stack.callback(pool.terminate)
            claiming = await create_pool(
                settings.database_url, size=1, application_name=APPLICATION_NAME, session=PLANNED_ONCE
            )
            stack.callback(claiming.terminate)
            objects = open_objects(settings)
            stack.push_async_callback(objects.close)
            usage = UsageClient(settings)
            stack.push_async_callback(usage.close)
            resources = DispatcherResources(
                settings=settings,
                pool=pool,
                objects=objects,
                secret_box=open_secret_box(settings) if settings.secret_keys else None,
                # Looking the applications up blocks.
                applications=await asyncio.to_thread(_application_client, settings, objects),
                reservations=usage,
                bundle_documents=DataBundleRunner(settings),
                train=TrainingRunner(settings),
            )
            await announce_mail_service(pool, settings)
            self._dispatcher = Dispatcher(
                pool,
                [kind.runnable(settings, resources) for kind in KINDS],
                owner=self._owner,
                lease=settings.job_lease,
                heartbeat=settings.job_heartbeat,
                poll=settings.job_poll,
                claiming=claiming,
            )
            following = asyncio.create_task(follow_capacity(self._dispatcher, settings), name="capacity")
            stack.push_async_callback(cancel_and_wait, [following])
            await self._dispatcher.run()


def _application_client(settings: Settings, objects: ObjectStore) -> ApplicationClient:
    return ApplicationClient(
        ReadingApplication.find(),
        PredictionApplication.find(objects),
        parts_at_once=parts_at_once(settings),
    )


def _end_with_a_fault(work: asyncio.Task[None]) -> None:
    """End the process of a dispatcher that has failed: Ray starts a new one."""
    if work.cancelled() or work.exception() is None:
        return
    logger.error("the dispatcher has failed", exc_info=work.exception())
    os._exit(FAULT_STATUS)
