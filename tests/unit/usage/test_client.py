"""The client of the usage counters, against endpoints in this process; Ray is not asked where they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from pagemill.errors import LimitExceeded, Unavailable
from pagemill.settings import Settings
from pagemill.usage import client as client_module
from pagemill.usage.client import UsageClient
from pagemill.usage.combiner import Reservation, Verdict
from pagemill.usage.counting import JobEnded
from pagemill.usage.endpoint import Address, Endpoint
from tests.support.working import until

VERDICTS: dict[str, Verdict] = {"full": "limit-exceeded", "over": "job-ended"}
SETTINGS = Settings(database_url="postgresql://unused", objects_url="file:///unused")


class Counter:
    """Answers as the job is called; those that are called slow, when they may."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.requests: list[list[str]] = []
        self.endpoint: Endpoint

    async def open(self) -> None:
        self.endpoint = await Endpoint.open(self.answer, host="127.0.0.1")

    async def answer(self, request: bytes) -> bytes:
        jobs = [one.job_id for one in msgspec.msgpack.decode(request, type=list[Reservation])]
        self.requests.append(jobs)
        if "slow" in jobs:
            await self.may.wait()
        if "away" in jobs:
            raise Unavailable("Postgres is away")
        return msgspec.msgpack.encode([VERDICTS.get(job, "granted") for job in jobs])


class Client(UsageClient):
    """Knows where the counter is, unless it was told that there is none."""

    def __init__(self, counter: Counter) -> None:
        super().__init__(SETTINGS)
        self.counter: Counter | None = counter
        self.looked_up = 0

    async def _address(self, _shard: int) -> Address:
        self.looked_up += 1
        if self.counter is None:
            raise ValueError("there is no such actor")
        return self.counter.endpoint.address

    async def ask(self, job_id: str) -> str:
        try:
            await self.reserve("las:organization:one", job_id, {"pages": 1})
        except (LimitExceeded, JobEnded, Unavailable) as error:
            return type(error).__name__
        return "granted"


@pytest.fixture
async def counter() -> AsyncIterator[Counter]:
    counter = Counter()
    await counter.open()
    yield counter
    counter.may.set()
    await counter.endpoint.close()


@pytest.fixture
async def client(counter: Counter) -> AsyncIterator[Client]:
    client = Client(counter)
    yield client
    await client.close()


async def test_what_is_asked_together_shares_a_request_and_a_connection(
    client: Client, counter: Counter
) -> None:
    jobs = ["a", "full", "b", "over"]
    verdicts = await asyncio.gather(*(client.ask(job) for job in jobs))
    assert verdicts == ["granted", "LimitExceeded", "granted", "JobEnded"]
    assert await client.ask("c") == "granted"
    assert counter.requests == [jobs, ["c"]]
    assert client.looked_up == 1


async def test_a_counter_without_an_answer_says_so_and_is_asked_again_on_the_same_connection(
    client: Client,
) -> None:
    assert await client.ask("away") == "Unavailable"
    assert await client.ask("a") == "granted"
    assert client.looked_up == 1


async def test_an_answer_that_comes_late_is_nobody_elses(
    client: Client, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "ANSWER_SECONDS", 0.2)
    assert await client.ask("slow") == "Unavailable"
    counter.may.set()
    assert await client.ask("full") == "LimitExceeded"
    assert client.looked_up == 2


async def test_a_counter_that_comes_back_elsewhere_is_found(client: Client, counter: Counter) -> None:
    assert await client.ask("a") == "granted"
    asked = asyncio.create_task(client.ask("slow"))

    async def arrived() -> bool:
        return ["slow"] in counter.requests

    await until(arrived)
    client.counter = Counter()
    await client.counter.open()
    client.counter.may.set()
    await asyncio.wait_for(counter.endpoint.close(), 10.0)
    assert await asked == "granted"
    assert client.counter.requests == [["slow"]]
    await client.counter.endpoint.close()


async def test_no_counter_is_no_answer(client: Client) -> None:
    client.counter = None
    assert await client.ask("a") == "Unavailable"
