"""Calling an application: errors come back as what they were, and no call hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from ray.exceptions import ActorDiedError, OutOfMemoryError, RayError, RayTaskError, WorkerCrashedError
from ray.serve.exceptions import RayServeException

from pagemill.errors import PagemillError, Unavailable
from pagemill.jobs.job import WorkerLost

Answer = TypeVar("Answer")

DEATHS = (ActorDiedError, OutOfMemoryError, WorkerCrashedError)


async def answer_of(
    call: Awaitable[Answer], *, seconds: float | None, who: str, alone: bool = False
) -> Answer:
    """The answer of a call to a Serve handle, an actor or a task.

    Errors of Pagemill are raised with their own class (Ray wraps them). What befalls the call itself, the
    death of its replica among them, is Unavailable: repeating it is safe. The death of a worker that works
    for this call ``alone`` is WorkerLost: the call may be what killed it. A fault in what was called stays
    one.
    """
    try:
        async with asyncio.timeout(seconds):
            return await call
    except PagemillError as error:
        raise _unwrapped(error) from None
    except RayTaskError as error:
        if isinstance(error.cause, RayError | ConnectionError):
            raise Unavailable(f"{who} is not available", detail=str(error)) from error
        raise
    except TimeoutError as error:
        raise Unavailable(f"{who} did not answer in time") from error
    except (RayError, RayServeException, ConnectionError) as error:
        if alone and isinstance(error, DEATHS):
            raise WorkerLost(f"{who} lost its worker", detail=str(error)) from error
        raise Unavailable(f"{who} is not available", detail=str(error)) from error


def _unwrapped(error: PagemillError) -> PagemillError:
    if isinstance(error, RayTaskError) and isinstance(error.cause, PagemillError):
        return error.cause
    return error
