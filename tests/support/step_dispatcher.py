"""A dispatcher of containers in a process of its own, to be killed; its settings are in the environment."""

from __future__ import annotations

import asyncio
import os
import uuid
from pathlib import Path
from typing import Any

from db.pool import Pool, create_pool
from pagemill.containers.engine import Engine
from pagemill.containers.engines import open_engine
from pagemill.containers.kubernetes_access import find_access
from pagemill.containers.kubernetes_engine import KubernetesEngine
from pagemill.jobs.dispatcher import Dispatcher
from pagemill.jobs.kind import RunnableKind
from pagemill.objects import open_objects
from pagemill.secret_box import open_secret_box
from pagemill.settings import Settings, load_settings
from pagemill.work.containers import COMPLETED_TASK, CONTAINER, ContainerResources

SERVICE_ACCOUNT = "TEST_SERVICE_ACCOUNT"
"""Variable with the directory of a service account of Kubernetes."""


def container_resources(settings: Settings, pool: Pool, engine: Engine | None = None) -> ContainerResources:
    """Resources of runners of containers, with the engine of the settings unless another is given."""
    return ContainerResources(
        settings=settings,
        pool=pool,
        objects=open_objects(settings),
        secret_box=open_secret_box(settings) if settings.secret_keys else None,
        container_engine=engine or open_engine(settings),
    )


def runnable_kinds(resources: ContainerResources) -> list[RunnableKind[Any]]:
    """The kinds that run containers."""
    return [kind.runnable(resources.settings, resources) for kind in (CONTAINER, COMPLETED_TASK)]


def dispatcher_of(resources: ContainerResources) -> Dispatcher:
    """A dispatcher whose leases are short."""
    return Dispatcher(
        resources.pool, runnable_kinds(resources), owner=uuid.uuid4().hex, lease=2.0, heartbeat=0.2, poll=1.0
    )


async def main() -> None:
    settings = load_settings(os.environ)
    pool = await create_pool(settings.database_url, size=6)
    engine: Engine | None = None
    if directory := os.environ.get(SERVICE_ACCOUNT):
        engine = KubernetesEngine(settings, find_access(os.environ, Path(directory)))
    await dispatcher_of(container_resources(settings, pool, engine)).run()


if __name__ == "__main__":
    asyncio.run(main())
