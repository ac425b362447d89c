"""The kinds of a dispatcher's role with the resources that they need: a role imports and opens no others."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from db.pool import Pool
from pagemill.concurrency import cancel_and_wait
from pagemill.containers.engine import Engine
from pagemill.containers.engines import open_engine
from pagemill.jobs.kind import RunnableKind
from pagemill.objects import ObjectStore
from pagemill.secret_box import SecretBox, open_secret_box
from pagemill.settings import Settings
from pagemill.work.container_sweep import keep_sweeping
from pagemill.work.file_sweep import keep_sweeping_files
from pagemill.work.kinds import HOUSEKEEPING, INTERACTIVE, LONG, WORKFLOWS, LongResources, WorkflowResources
from pagemill.work.mail import announce_mail_service
from pagemill.work.predictions import PredictionResources
from pagemill.work.resources import WorkResources
from pagemill.work.roles import Role
from pagemill.workflows.functions.mapping import FunctionMapping
from pagemill.workflows.functions.processes import FunctionProcesses


async def open_kinds(
    role: Role, settings: Settings, pool: Pool, objects: ObjectStore, stack: contextlib.AsyncExitStack
) -> list[RunnableKind[Any]]:
    """Return the kinds of a role as one dispatcher runs them; ``stack`` closes what was opened for them."""
    match role:
        case Role.INTERACTIVE:
            return await _interactive(settings, pool, objects, stack)
        case Role.LONG:
            return _long(settings, pool, objects)
        case Role.HOUSEKEEPING:
            return await _housekeeping(settings, pool, objects, stack)
        case Role.WORKFLOWS:
            return _workflows(settings, pool, objects, stack)


async def _interactive(
    settings: Settings, pool: Pool, objects: ObjectStore, stack: contextlib.AsyncExitStack
) -> list[RunnableKind[Any]]:
    # Ray Serve takes 100 MB, which housekeeping does without.
    from pagemill.applications.clients import find_applications
    from pagemill.usage.client import UsageClient

    usage = UsageClient(settings)
    stack.push_async_callback(usage.close)
    resources = PredictionResources(
        settings=settings,
        pool=pool,
        objects=objects,
        secret_box=None,
        # Looking the applications up blocks.
        applications=await asyncio.to_thread(find_applications, settings, objects),
        reservations=usage,
    )
    return [kind.runnable(settings, resources) for kind in INTERACTIVE]


def _long(settings: Settings, pool: Pool, objects: ObjectStore) -> list[RunnableKind[Any]]:
    from train_jobs.bundle import DataBundleRunner
    from train_jobs.train import TrainingRunner

    resources = LongResources(
        settings=settings,
        pool=pool,
        objects=objects,
        secret_box=None,
        bundle_documents=DataBundleRunner(settings),
        train=TrainingRunner(settings),
    )
    return [kind.runnable(settings, resources) for kind in LONG]


async def _housekeeping(
    settings: Settings, pool: Pool, objects: ObjectStore, stack: contextlib.AsyncExitStack
) -> list[RunnableKind[Any]]:
    await announce_mail_service(pool, settings)
    _keep_sweeping_files(objects, stack)
    resources = WorkResources(
        settings=settings,
        pool=pool,
        objects=objects,
        secret_box=_secret_box(settings),
    )
    return [kind.runnable(settings, resources) for kind in HOUSEKEEPING]


def _workflows(
    settings: Settings, pool: Pool, objects: ObjectStore, stack: contextlib.AsyncExitStack
) -> list[RunnableKind[Any]]:
    _keep_sweeping_files(objects, stack)
    processes = FunctionProcesses()
    stack.push_async_callback(processes.close)
    resources = WorkflowResources(
        settings=settings,
        pool=pool,
        objects=objects,
        secret_box=_secret_box(settings),
        functions=FunctionMapping(Path(settings.functions_file) if settings.functions_file else None),
        function_processes=processes,
        container_engine=_container_engine(settings, pool, stack),
    )
    return [kind.runnable(settings, resources) for kind in WORKFLOWS]


def _keep_sweeping_files(objects: ObjectStore, stack: contextlib.AsyncExitStack) -> None:
    sweeping = asyncio.create_task(keep_sweeping_files(objects), name="sweep files")
    stack.push_async_callback(cancel_and_wait, [sweeping])


def _container_engine(settings: Settings, pool: Pool, stack: contextlib.AsyncExitStack) -> Engine | None:
    """Return the engine of the settings, None without one; what nobody follows in it is swept."""
    engine = open_engine(settings)
    if engine is None:
        return None
    stack.push_async_callback(engine.close)
    sweeping = asyncio.create_task(keep_sweeping(pool, engine), name="sweep containers")
    stack.push_async_callback(cancel_and_wait, [sweeping])
    return engine


def _secret_box(settings: Settings) -> SecretBox | None:
    return open_secret_box(settings) if settings.secret_keys else None
