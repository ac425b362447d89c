"""A prediction reads, predicts and reserves only what its plan limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pagemill.errors import LimitExceeded, Unavailable
from pagemill.jobs.job import Job
from pagemill.work.predictions import PREDICTION, PredictionRunner

JOB = Job("job", PREDICTION.name, "las:organization:one", "prediction", {}, 1, 5)
PAGES = ["first page", "second page"]
FOUND = [{"label": "total", "value": "1.00", "confidence": 0.9}]


class Record(dict[str, Any]):
    """A row as asyncpg gives it: iterating it gives the values."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())


class Pool:
    """A pool with one prediction, of an organization whose plan limits ``limited_by``."""

    def __init__(self, limited_by: str | None) -> None:
        self._limited_by = limited_by

    @asynccontextmanager
    async def acquire(self, *, timeout: float | None) -> AsyncIterator[Pool]:
        assert timeout
        yield self

    def get_idle_size(self) -> int:
        return 0

    async def fetchrow(self, _sql: str, *_arguments: Any) -> Record:
        return Record(
            preprocess_config={},
            postprocess_config={},
            document_id="document",
            content_key="content",
            artefact_key="artefact",
            limited_by=self._limited_by,
        )


class Applications:
    """Applications that read two pages, and find what ``predict`` answers."""

    def __init__(self, predict: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._predict = predict

    async def read(self, _content_key: str, _preprocess_config: Any) -> tuple[list[str], None]:
        return PAGES, None

    async def predict(self, _artefact_key: str, pages: list[str], _postprocess_config: Any) -> Any:
        assert pages == PAGES
        return await self._predict()


class Usage:
    """A client of the usage counters that records reservations."""

    def __init__(self, answer: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._answer = answer
        self.reserved: list[Mapping[Any, float]] = []

    async def reserve(
        self, _organization_id: str, _job_id: str, amounts: Mapping[Any, float], *, attempt: int
    ) -> None:
        assert attempt == JOB.attempt
        self.reserved.append(amounts)
        await self._answer()


async def find() -> list[dict[str, Any]]:
    return FOUND


async def grant() -> None:
    return


async def refuse() -> None:
    raise LimitExceeded


def runner(
    limited_by: str | None, usage: Usage, predict: Callable[[], Coroutine[Any, Any, Any]] = find
) -> PredictionRunner:
    pool: Any = Pool(limited_by)
    return PredictionRunner(pool, Applications(predict), usage)


@pytest.mark.parametrize(
    ("limited_by", "reserved"), [("pages", [{"pages": 2}]), ("fields", [{"fields": 1}]), (None, [])]
)
async def test_only_the_limited_meter_is_reserved_and_both_are_counted(
    limited_by: str | None, reserved: list[dict[str, int]]
) -> None:
    usage = Usage(grant)
    result = await runner(limited_by, usage)(JOB)
    assert usage.reserved == reserved
    assert (result.pages, result.fields, result.predictions) == (2, 1, FOUND)


@pytest.mark.parametrize("limited_by", ["pages", "fields"])
async def test_nothing_is_predicted_beyond_the_limit(limited_by: str) -> None:
    with pytest.raises(LimitExceeded):
        await runner(limited_by, Usage(refuse))(JOB)


async def test_fields_are_found_while_pages_are_reserved() -> None:
    looked = asyncio.Event()

    async def look() -> list[dict[str, Any]]:
        looked.set()
        return FOUND

    async def grant_then() -> None:
        await looked.wait()

    async with asyncio.timeout(60):
        assert (await runner("pages", Usage(grant_then), look)(JOB)).predictions == FOUND


async def test_a_refused_reservation_cancels_the_prediction() -> None:
    broken_off = asyncio.Event()
    begun = asyncio.Event()

    async def look() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            broken_off.set()

    async def refuse_then() -> None:
        await begun.wait()
        raise LimitExceeded

    async with asyncio.timeout(60):
        with pytest.raises(LimitExceeded):
            await runner("pages", Usage(refuse_then), look)(JOB)
    assert broken_off.is_set()


async def test_an_error_of_the_application_is_raised_after_the_reservation() -> None:
    async def fail() -> None:
        raise Unavailable("Prediction is not available")

    usage = Usage(grant)
    with pytest.raises(Unavailable):
        await runner("pages", usage, fail)(JOB)
    assert usage.reserved == [{"pages": 2}]
