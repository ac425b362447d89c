"""The dispatcher as a Ray actor: detached, named, and started again whenever it dies."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import msgspec
from ray import serve

from db.pool import PLANNED_ONCE, create_pool
from pagemill.applications.requests import PREDICTION, READING
from pagemill.jobs.dispatcher import Dispatcher, Runner
from pagemill.jobs.job import JobKind
from pagemill.jobs.schedule import Schedule
from pagemill.logging_setup import configure_logging
from pagemill.objects import ObjectStore, open_objects
from pagemill.secret_box import open_secret_box
from pagemill.settings import Settings, load_settings
from pagemill.usage.client import UsageClient
from pagemill.work.limit_warnings import LimitWarningRunner
from pagemill.work.mail import MailRunner, say_whether_mail_is_sent
from pagemill.work.month_statements import MonthStatementRunner
from pagemill.work.object_sweep import ObjectSweepRunner
from pagemill.work.predictions import PredictionRunner
from pagemill.work.retention import RetentionRunner
from pagemill.work.transformations import TransformationRunner
from pagemill.work.webhooks import WebhookRunner
from train_jobs.data_bundle import DataBundleRunner
from train_jobs.training import TrainingRunner

NAME = "dispatcher"
FAULT_STATUS = 1

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DispatcherKeys:
    """What no other process of Ray's is given, and what the environment therefore does not have."""

    secret_keys: str = field(default="", repr=False)
    smtp_password: str | None = field(default=None, repr=False)


class DispatcherActor:
    """Works from the moment it is made. It holds no truth: two do no harm, its death loses nothing."""

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

    async def status(self) -> dict[str, Any]:
        """Who it is, whether it hears of new jobs at once, and how many jobs of each kind it runs."""
        dispatcher = self._dispatcher
        running: dict[str, int] = {}
        for job in dispatcher.running if dispatcher else ():
            running[job.kind] = running.get(job.kind, 0) + 1
        return {
            "owner": self._owner,
            "listening": dispatcher is not None and dispatcher.is_listening,
            "running": running,
        }

    async def stop(self) -> None:
        """Give running jobs back to the queue and claim no more; returns when that is done."""
        if self._dispatcher is not None:
            self._dispatcher.stop()
            await self._work

    async def _run(self) -> None:
        settings = self._settings
        pool = await create_pool(
            settings.database_url, size=settings.database_pool_size, application_name="pagemill dispatcher"
        )
        claiming = await create_pool(
            settings.database_url,
            size=1,
            application_name="pagemill dispatcher",
            session=PLANNED_ONCE,
        )
        objects = open_objects(settings)
        usage = UsageClient(settings)
        try:
            # Looking the applications up blocks.
            runners = await asyncio.to_thread(_runners, settings, pool, objects, usage)
            await say_whether_mail_is_sent(pool, settings)
            self._dispatcher = Dispatcher(
                pool,
                runners,
                owner=self._owner,
                lease=settings.job_lease,
                heartbeat=settings.job_heartbeat,
                poll=settings.job_poll,
                limits={
                    "prediction": settings.predictions_at_once,
                    "data-bundle": settings.data_bundles_at_once,
                    "training": settings.trainings_at_once,
                    "transformation": settings.transformations_at_once,
                    "webhook": settings.webhooks_at_once,
                },
                schedules=schedules_of(settings),
                claiming=claiming,
            )
            await self._dispatcher.run()
        finally:
            pool.terminate()
            claiming.terminate()
            await usage.close()
            await objects.close()


def _runners(
    settings: Settings, pool: asyncpg.Pool, objects: ObjectStore, usage: UsageClient
) -> dict[JobKind, Runner]:
    return {
        "prediction": PredictionRunner(
            pool,
            serve.get_app_handle(READING),
            serve.get_app_handle(PREDICTION),
            usage,
        ),
        "data-bundle": DataBundleRunner(),
        "training": TrainingRunner(),
        "transformation": TransformationRunner(pool, objects),
        "retention": RetentionRunner(pool, objects),
        "object-sweep": ObjectSweepRunner(pool, objects, grace=settings.object_grace),
        "month-statement": MonthStatementRunner(pool),
        "mail": MailRunner(settings),
        "webhook": WebhookRunner(
            pool,
            open_secret_box(settings) if settings.secret_keys else None,
            private_targets=settings.webhook_private_targets,
        ),
        "limit-warnings": LimitWarningRunner(pool),
    }


def schedules_of(settings: Settings) -> list[Schedule]:
    """What exists because it is time; an interval of 0 turns it off."""
    schedules = [
        Schedule("retention", settings.retention_interval),
        Schedule("object-sweep", settings.object_sweep_interval),
        Schedule("month-statement", settings.month_statement_interval),
        Schedule("limit-warnings", settings.limit_warning_interval),
    ]
    return [schedule for schedule in schedules if schedule.interval > 0]


def _end_with_a_fault(work: asyncio.Task[None]) -> None:
    """A dispatcher that does not work must not look as if it did: Ray starts a new one."""
    if work.cancelled() or work.exception() is None:
        return
    logger.error("the dispatcher has failed", exc_info=work.exception())
    os._exit(FAULT_STATUS)
