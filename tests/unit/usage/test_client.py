"""The client of the usage counters, with counters in this process in the place of Ray's actors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from ray.exceptions import RayActorError

from pagemill.errors import LimitExceeded, Unavailable
from pagemill.settings import Settings
from pagemill.usage import client as client_module
from pagemill.usage.client import CONCURRENT_CALLS, UsageClient
from pagemill.usage.combiner import MAX_BATCH_SIZE, Reservation, Verdict
from pagemill.usage.reservations import JobEnded
from tests.support.working import until

VERDICTS: dict[str, Verdict] = {"full": "limit-exceeded", "over": "job-ended"}
SETTINGS = Settings(database_url="postgresql://unused", objects_url="file:///unused")


class Counter:
    """Gives the verdict that the job's id stands for; a call with a slow job waits for ``may_answer``."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.calls: list[list[str]] = []
        self.died: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.under_way = self.most_under_way = 0

    @property
    def handle(self) -> Any:
        return SimpleNamespace(reserve=SimpleNamespace(remote=self.reserve))

    async def reserve(self, request: bytes) -> bytes:
        if self.died.done():
            raise RayActorError
        jobs = [one.job_id for one in msgspec.msgpack.decode(request, type=list[Reservation])]
        self.calls.append(jobs)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if "slow" in jobs:
                answering = asyncio.create_task(self.may_answer.wait())
                await asyncio.wait({answering, self.died}, return_when=asyncio.FIRST_COMPLETED)
            if self.died.done():
                raise RayActorError
        finally:
            self.under_way -= 1
        if "away" in jobs:
            raise Unavailable("Postgres is away")
        return msgspec.msgpack.encode([VERDICTS.get(job, "granted") for job in jobs])


class Client(UsageClient):
    """Finds the counter under its name, unless there is none."""

    def __init__(self, counter: Counter) -> None:
        super().__init__(SETTINGS)
        self.counter: Counter | None = counter
        self.looked_up = 0

    async def _look_up(self, _shard: int) -> Any:
        self.looked_up += 1
        if self.counter is None:
            raise ValueError("there is no such actor")
        return self.counter.handle

    async def ask(self, job_id: str, organization_id: str = "las:organization:one") -> str:
        try:
            await self.reserve(organization_id, job_id, {"pages": 1}, attempt=1)
        except (LimitExceeded, JobEnded, Unavailable) as error:
            return type(error).__name__
        return "granted"


@pytest.fixture
async def counter() -> Counter:
    return Counter()


@pytest.fixture
async def client(counter: Counter) -> AsyncIterator[Client]:
    client = Client(counter)
    yield client
    await client.close()


async def test_reservations_made_together_share_a_call(client: Client, counter: Counter) -> None:
    jobs = ["a", "full", "b", "over"]
    verdicts = await asyncio.gather(*(client.ask(job) for job in jobs))
    assert verdicts == ["granted", "LimitExceeded", "granted", "JobEnded"]
    assert await client.ask("c") == "granted"
    assert counter.calls == [jobs, ["c"]]
    assert client.looked_up == 1


async def test_calls_under_way_and_their_size_are_bounded(client: Client, counter: Counter) -> None:
    first = asyncio.create_task(client.ask("slow", "first"))
    await until_called(counter, 1)
    second = asyncio.create_task(client.ask("slow", "second"))
    await until_called(counter, 2)
    rest = [asyncio.create_task(client.ask("a", f"other {number}")) for number in range(3 * MAX_BATCH_SIZE)]
    await asyncio.sleep(0.01)
    assert counter.calls == [["slow"], ["slow"]]
    counter.may_answer.set()
    assert set(await asyncio.gather(first, second, *rest)) == {"granted"}
    sizes = [len(call) for call in counter.calls[2:]]
    assert max(sizes) == MAX_BATCH_SIZE
    assert sum(sizes) == 3 * MAX_BATCH_SIZE
    assert len(sizes) < 10
    assert counter.most_under_way == CONCURRENT_CALLS == 2


async def test_an_organization_has_one_call_under_way_and_does_not_hold_up_others(
    client: Client, counter: Counter
) -> None:
    first = asyncio.create_task(client.ask("slow", "hot"))
    await until_called(counter, 1)
    rest = [asyncio.create_task(client.ask("a", "hot")) for _ in range(50)]
    assert await client.ask("b", "other") == "granted"
    counter.may_answer.set()
    assert set(await asyncio.gather(first, *rest)) == {"granted"}
    assert counter.calls == [["slow"], ["b"], ["a"] * 50]


async def test_a_counter_without_postgres_is_unavailable_and_is_called_again(client: Client) -> None:
    assert await client.ask("away") == "Unavailable"
    assert await client.ask("a") == "granted"
    assert client.looked_up == 1


async def test_a_call_without_an_answer_ends_and_its_counter_is_looked_up_again(
    client: Client, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "ANSWER_SECONDS", 0.2)
    assert await client.ask("slow") == "Unavailable"
    counter.may_answer.set()
    assert await client.ask("full") == "LimitExceeded"
    assert client.looked_up == 2


async def test_a_counter_that_died_is_looked_up_and_called_again(client: Client, counter: Counter) -> None:
    assert await client.ask("a") == "granted"
    asked = asyncio.create_task(client.ask("slow"))
    await until_called(counter, 2)
    client.counter = Counter()
    client.counter.may_answer.set()
    counter.died.set_result(None)
    assert await asked == "granted"
    assert counter.calls == [["a"], ["slow"]]
    assert client.counter.calls == [["slow"]]
    assert client.looked_up == 2


async def test_a_counter_that_stays_dead_is_unavailable_in_the_end(
    client: Client, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "ANSWER_SECONDS", 0.2)
    counter.died.set_result(None)
    assert await client.ask("a") == "Unavailable"
    assert client.looked_up > 1


async def test_without_a_counter_usage_is_unavailable(client: Client) -> None:
    client.counter = None
    assert await client.ask("a") == "Unavailable"


async def until_called(counter: Counter, times: int) -> None:
    async def called() -> bool:
        return len(counter.calls) == times

    await until(called)
