"""Answers and errors of calls to Serve handles, actors and tasks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, OutOfMemoryError, RayTaskError
from ray.exceptions import WorkerCrashedError as Crashed

from pagemill.applications.calling import answer_of
from pagemill.errors import DocumentUnreadable, Unavailable
from pagemill.jobs.job import WorkerLost


async def raising(error: Exception) -> Any:
    raise error


async def test_a_call_returns_its_answer() -> None:
    async def answer() -> int:
        return 7

    assert await answer_of(answer(), seconds=1, who="It") == 7


async def test_pagemills_errors_are_raised_without_rays_wrapper() -> None:
    wrapped = RayTaskError(
        "read", "traceback", DocumentUnreadable("The PDF is encrypted")
    ).as_instanceof_cause()
    with pytest.raises(DocumentUnreadable) as caught:
        await answer_of(raising(wrapped), seconds=1, who="It")
    assert type(caught.value) is DocumentUnreadable
    assert caught.value.message == "The PDF is encrypted"


@pytest.mark.parametrize(
    "error",
    [
        ActorDiedError(),
        ConnectionResetError(),
        RayTaskError("read", "traceback", ActorDiedError()).as_instanceof_cause(),
    ],
)
async def test_a_failed_call_may_be_tried_again(error: Exception) -> None:
    with pytest.raises(Unavailable, match="It is not available"):
        await answer_of(raising(error), seconds=1, who="It")


@pytest.mark.parametrize("death", [ActorDiedError(), OutOfMemoryError("killed"), Crashed()])
async def test_the_death_of_a_worker_for_one_job_is_a_lost_worker(death: Exception) -> None:
    with pytest.raises(WorkerLost, match="It lost its worker"):
        await answer_of(raising(death), seconds=1, who="It", alone=True)


async def test_an_unreachable_worker_is_not_a_lost_worker() -> None:
    error = ActorUnavailableError("not now", None)
    with pytest.raises(Unavailable):
        await answer_of(raising(error), seconds=1, who="It", alone=True)


async def test_other_errors_of_the_called_code_are_raised_unchanged() -> None:
    wrapped = RayTaskError("read", "traceback", KeyError("x")).as_instanceof_cause()
    with pytest.raises(KeyError):
        await answer_of(raising(wrapped), seconds=1, who="It")


async def test_a_call_has_a_time_limit() -> None:
    with pytest.raises(Unavailable, match="in time"):
        await answer_of(asyncio.Event().wait(), seconds=0.01, who="It")
