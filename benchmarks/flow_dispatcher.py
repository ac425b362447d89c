"""A dispatcher of workflows in a process of its own, as a dispatcher actor runs one, without Ray.

python -m benchmarks.flow_dispatcher, with the platform's settings in the environment; tests kill it, too
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator

import psutil
import uvloop

from db.pool import PLANNED_ONCE, create_pool
from pagemill.cluster.role_kinds import open_kinds
from pagemill.jobs.dispatcher import Dispatcher
from pagemill.objects import open_objects
from pagemill.settings import Settings, load_settings, to_environment
from pagemill.work.roles import Role

READY = "ready"


@contextlib.contextmanager
def flow_dispatcher(settings: Settings) -> Iterator[psutil.Process]:
    """Run a dispatcher while the block runs; yield its process once it listens."""
    command = [sys.executable, "-m", "benchmarks.flow_dispatcher"]
    environment = {**os.environ, **to_environment(settings)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline().strip() != READY:
                raise RuntimeError("the dispatcher of workflows does not start")
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


async def dispatch(settings: Settings) -> None:
    """Dispatch the jobs of workflows until SIGTERM."""
    async with contextlib.AsyncExitStack() as stack:
        pool = await create_pool(settings.database_url, size=settings.database_pool_size)
        stack.callback(pool.terminate)
        claiming = await create_pool(settings.database_url, size=1, session=PLANNED_ONCE)
        stack.callback(claiming.terminate)
        objects = open_objects(settings)
        stack.push_async_callback(objects.close)
        dispatcher = Dispatcher(
            pool,
            await open_kinds(Role.WORKFLOWS, settings, pool, objects, stack),
            owner=uuid.uuid4().hex,
            lease=settings.job_lease,
            heartbeat=settings.job_heartbeat,
            poll=settings.job_poll,
            claiming=claiming,
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, dispatcher.stop)
        running = asyncio.create_task(dispatcher.run())
        while not (dispatcher.is_listening or running.done()):  # noqa: ASYNC110 - Postgres says so
            await asyncio.sleep(0.01)
        print(READY, flush=True)
        await running


if __name__ == "__main__":
    uvloop.run(dispatch(load_settings(os.environ)))
