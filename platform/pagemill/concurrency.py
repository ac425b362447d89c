"""Helpers for asyncio tasks: end them, shield them, run several of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")

CANCEL_AGAIN_SECONDS = 1.0


async def cancel_and_wait(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, repeatedly, until all have ended; drop their results and errors.

    Once is not enough: a connection that breaks while its transaction is rolled back hides that the task was
    cancelled, and what waits out that Postgres is away would go on for ever.
    """
    remaining = set(tasks)
    while remaining:
        for task in remaining:
            task.cancel()
        ended, remaining = await asyncio.wait(remaining, timeout=CANCEL_AGAIN_SECONDS)
        for task in ended:
            if not task.cancelled():
                task.exception()


async def finish_despite_cancellation(work: Coroutine[Any, Any, Result]) -> Result:
    """Await ``work``; when the caller is cancelled, let it finish before the cancellation goes on.

    For work in two stores: once rows are deleted, their objects have to follow.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def gather_or_cancel(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run coroutines side by side and return their results in order.

    The first error cancels the others and is raised as it is, without an exception group.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
