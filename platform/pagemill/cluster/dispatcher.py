"""The dispatcher as a Ray actor: detached, named, and started again whenever it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import uuid
from collections import Counter
from dataclasses import replace
from typing import Any

import msgspec
import ray

from db.pool import PLANNED_ONCE, create_pool
from pagemill.cluster.assignment import Assignment, DispatcherName
from pagemill.cluster.job_metrics import JobMetrics
from pagemill.cluster.role_kinds import open_kinds
from pagemill.concurrency import cancel_and_wait
from pagemill.jobs.announcement import Announcer
from pagemill.jobs.dispatcher import Dispatcher
from pagemill.logging_setup import configure_logging
from pagemill.memory import keep_returning_memory
from pagemill.objects import open_objects
from pagemill.sandbox.concealment import conceal_ray_worker
from pagemill.settings import load_settings
from pagemill.tracing.configuration import close_tracing, configure_tracing
from pagemill.work.roles import Role, roles_run_by

APPLICATION_NAME = "pagemill dispatcher"
FAULT_STATUS = 1
ANSWER_SECONDS = 1.0
"""Time in which whoever asked it to drain gets the answer."""

logger = logging.getLogger(__name__)


class DispatcherActor:
    """Actor that dispatches the jobs of a role from its creation on, until it has drained.

    It holds no truth: two of them do no harm, and its death loses nothing.
    """

    def __init__(self, assignment: Assignment) -> None:
        keys = assignment.keys
        if keys.secret_keys or keys.smtp_password:
            conceal_ray_worker()
        self._assignment = assignment
        self._settings = msgspec.structs.replace(
            load_settings(os.environ), secret_keys=keys.secret_keys, smtp_password=keys.smtp_password
        )
        # Ray's workers show warnings without a time, and nothing else.
        configure_logging(self._settings.log_level)
        configure_tracing(self._settings, "dispatcher")
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._dispatcher: Dispatcher | None = None
        self._work = asyncio.get_running_loop().create_task(self._run())
        self._work.add_done_callback(_end_process)

    def __repr__(self) -> str:
        """Return what Ray's dashboard and logs show of the actor."""
        return f"DispatcherActor({self._assignment.name})"

    @ray.method
    async def status(self) -> dict[str, Any]:
        """Return its name, whether it hears of new jobs at once, and how many jobs of each kind it runs."""
        dispatcher = self._dispatcher
        running = Counter(job.kind for job in dispatcher.running) if dispatcher else Counter()
        return {
            "owner": self._owner,
            "role": str(self._assignment.name.role),
            "release": self._assignment.release,
            "listening": dispatcher is not None and dispatcher.is_listening,
            "draining": dispatcher is not None and dispatcher.is_draining,
            "running": dict(running),
        }

    @ray.method
    async def fulfils(self, declaration: str) -> bool:
        """Return whether it was started with this declaration and claims jobs."""
        draining = self._dispatcher is not None and self._dispatcher.is_draining
        return self._assignment.declaration == declaration and not draining

    @ray.method
    async def drain(self, seconds: float | None) -> None:
        """Claim nothing more; return at once. The actor ends itself when its jobs have ended.

        Those that have not within ``seconds`` are given back to the queue; None lets them take their time.
        """
        if self._dispatcher is None:
            self._work.cancel()
        else:
            self._dispatcher.drain(seconds)

    async def _run(self) -> None:
        if await asyncio.to_thread(is_superseded, self._assignment.name):
            logger.info("a successor works: this dispatcher is not needed any more")
            return
        settings = self._settings
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(asyncio.to_thread, close_tracing)
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
            share = self._assignment.share
            kinds = [
                kind
                for role in roles_run_by(self._assignment.name.role, settings)
                for kind in await open_kinds(role, settings, pool, objects, stack)
            ]
            metrics = JobMetrics(self._assignment.release)
            keeping = [
                asyncio.create_task(metrics.keep_showing(), name="metrics"),
                asyncio.create_task(keep_returning_memory(), name="memory"),
            ]
            stack.push_async_callback(cancel_and_wait, keeping)
            self._dispatcher = Dispatcher(
                pool,
                [replace(kind, concurrency=share.slots(kind.concurrency)) for kind in kinds],
                owner=self._owner,
                lease=settings.job_lease,
                heartbeat=settings.job_heartbeat,
                poll=settings.job_poll,
                claiming=claiming,
                observer=metrics,
            )
            if self._assignment.name.role is Role.INTERACTIVE:
                from pagemill.cluster.scaling.slots import follow_capacity

                following = asyncio.create_task(
                    follow_capacity(self._dispatcher, settings, share), name="capacity"
                )
                stack.push_async_callback(cancel_and_wait, [following])
            announcer = Announcer(
                pool=pool,
                name=str(self._assignment.name),
                role=self._assignment.name.role,
                release=self._assignment.release,
                owner=self._owner,
                interval=settings.job_heartbeat,
            )
            stack.push_async_callback(announcer.withdraw)
            announcing = asyncio.create_task(announcer.run(self._dispatcher), name="announce")
            stack.push_async_callback(cancel_and_wait, [announcing])
            await self._dispatcher.run()


def is_superseded(name: DispatcherName) -> bool:
    """Return whether a later generation of the role runs; blocks.

    Ray starts a dispatcher that dies again, also one that was draining: it must not claim any more then.
    """
    names = map(DispatcherName.parse, ray.util.list_named_actors())
    return any(
        one is not None and one.role == name.role and one.generation > name.generation for one in names
    )


def _end_actor() -> None:
    ray.kill(ray.get_runtime_context().current_actor, no_restart=True)


def _end_process(work: asyncio.Task[None]) -> None:
    """End the actor for good when it has drained. One that has failed Ray starts again."""
    if work.cancelled() or work.exception() is None:
        asyncio.get_running_loop().call_later(ANSWER_SECONDS, _end_actor)
        return
    logger.error("the dispatcher has failed", exc_info=work.exception())
    os._exit(FAULT_STATUS)
