"""A dispatcher of workflows in a process of its own, to be killed; its settings are in the environment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid

from db.pool import create_pool
from pagemill.cluster.role_kinds import open_kinds
from pagemill.jobs.dispatcher import Dispatcher
from pagemill.objects import open_objects
from pagemill.settings import load_settings
from pagemill.work.roles import Role


async def main() -> None:
    settings = load_settings(os.environ)
    async with contextlib.AsyncExitStack() as stack:
        pool = await create_pool(settings.database_url, size=8)
        stack.callback(pool.terminate)
        objects = open_objects(settings)
        stack.push_async_callback(objects.close)
        dispatcher = Dispatcher(
            pool,
            await open_kinds(Role.WORKFLOWS, settings, pool, objects, stack),
            owner=uuid.uuid4().hex,
            lease=settings.job_lease,
            heartbeat=settings.job_heartbeat,
            poll=settings.job_poll,
        )
        await dispatcher.run()


if __name__ == "__main__":
    asyncio.run(main())
