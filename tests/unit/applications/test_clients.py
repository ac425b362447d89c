"""Clients of the Serve applications: what they call, and the errors that they raise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
from ray.exceptions import ActorUnavailableError, RayTaskError
from ray.serve.handle import DeploymentHandle

from pagemill.applications.clients import (
    PredictionApplication,
    ReadingApplication,
    parts_at_once,
    parts_per_replica,
)
from pagemill.applications.requests import PredictionRequest, ReadingRequest, ReadingResponse
from pagemill.documents.words import DocumentPages
from pagemill.errors import DocumentUnreadable, ModelDamaged, Unavailable
from pagemill.extraction.types import ReadOptions
from pagemill.objects import ObjectStore
from pagemill.settings import Settings

PAGES = DocumentPages(
    content_key="content",
    options=ReadOptions(),
    number_of_pages=2,
    indexes=[0],
)
READ = ReadingResponse(pages=PAGES, missing=[], next_page=1)
FOUND = [{"label": "total", "value": "1.00", "confidence": 0.9}]


class Handle:
    """A Serve handle whose only method is ``answer``."""

    def __init__(self, answer: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._answer = answer
        self.requests: list[Any] = []
        self.model_id: str | None = None
        self.read = self.predict = self

    def options(self, *, multiplexed_model_id: str) -> Handle:
        self.model_id = multiplexed_model_id
        return self

    def remote(self, request: Any) -> asyncio.Future[Any]:
        self.requests.append(request)
        return asyncio.ensure_future(self._answer())


def handle_that(answer: Callable[[], Coroutine[Any, Any, Any]]) -> tuple[Handle, DeploymentHandle]:
    handle = Handle(answer)
    return handle, cast("DeploymentHandle", handle)


async def test_pages_are_read() -> None:
    async def read() -> ReadingResponse:
        return READ

    fake, handle = handle_that(read)
    request = ReadingRequest(content_key="content")
    assert await ReadingApplication(handle).read(request) == READ
    assert fake.requests == [request]


async def test_fields_are_found_with_the_artefact(objects: ObjectStore) -> None:
    async def find() -> list[dict[str, Any]]:
        return FOUND

    fake, handle = handle_that(find)
    request = PredictionRequest(PAGES, {})
    assert await PredictionApplication(handle, objects).predict("artefact/", request) == FOUND
    assert (fake.model_id, fake.requests) == ("artefact/", [request])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RayTaskError("read", "", DocumentUnreadable("damaged")).as_instanceof_cause(), DocumentUnreadable),
        (RayTaskError("predict", "", ModelDamaged("damaged")).as_instanceof_cause(), ModelDamaged),
        (ActorUnavailableError("gone", None), Unavailable),
        (ConnectionError("reset"), Unavailable),
    ],
)
async def test_errors_are_pagemills(
    objects: ObjectStore, error: Exception, expected: type[Exception]
) -> None:
    async def fail() -> None:
        raise error

    _, handle = handle_that(fail)
    with pytest.raises(expected):
        await ReadingApplication(handle).read(ReadingRequest(content_key="content"))
    with pytest.raises(expected):
        await PredictionApplication(handle, objects).predict("artefact/", PredictionRequest(PAGES, {}))


async def test_a_call_has_a_time_limit() -> None:
    async def hang() -> None:
        await asyncio.sleep(60)

    _, handle = handle_that(hang)
    with pytest.raises(Unavailable, match="Reading did not answer in time"):
        await ReadingApplication(handle, seconds=0.01).read(ReadingRequest(content_key="content"))


def sized(replicas: int, cpus: float) -> Settings:
    return Settings(
        database_url="postgresql://unused",
        objects_url="file:///unused",
        reading_replicas_max=replicas,
        reading_cpus=cpus,
    )


@pytest.mark.parametrize(("cpus", "parts"), [(0.1, 2), (0.4, 2), (1.0, 2), (1.5, 3), (8.0, 9)])
def test_a_replica_reads_a_part_more_than_it_has_processors(cpus: float, parts: int) -> None:
    assert parts_per_replica(sized(1, cpus)) == parts


@pytest.mark.parametrize("cpus", [0.4, 2.0, 8.0])
@pytest.mark.parametrize("replicas", [0, 1, 2, 10, 50])
def test_a_caller_employs_all_replicas_and_leaves_a_place(replicas: int, cpus: float) -> None:
    settings = sized(replicas, cpus)
    per_replica, at_once = parts_per_replica(settings), parts_at_once(settings)
    # Serve starts as many replicas as the requests of their target's size need.
    assert -(-at_once // per_replica) >= replicas
    assert at_once >= 2
    assert replicas < 2 or at_once < replicas * per_replica
