"""Calls to Serve handles, actors and tasks: with a time limit, and with Pagemill's errors."""

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
    """Return the answer of a call; ``who`` names the called part in messages.

    Errors of Pagemill are raised with their own class, without Ray's wrapper. Failures of the call itself,
    such as the death of a replica, raise Unavailable: it is safe to repeat the call. When the worker runs
    ``alone`` for this call, its death raises WorkerLost: the call may have caused it. Other errors of the
    called code are raised as Ray gives them.
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
    """Return the error that Ray has wrapped in a class of both."""
    if isinstance(error, RayTaskError) and isinstance(error.cause, PagemillError):
        return error.cause
    return error
