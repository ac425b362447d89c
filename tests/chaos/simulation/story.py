"""One simulation: what clients do, what goes wrong meanwhile, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import random
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast
from unittest import mock

from pagemill.api.http.error_responses import DATABASE_BUSY
from pagemill.errors import PagemillError
from pagemill.usage import meters
from tests.chaos.simulation.clock import SimulatedLoop
from tests.chaos.simulation.platform import (
    UNREADABLE,
    Api,
    Counter,
    DispatcherProcess,
    Gone,
    World,
    ask,
)
from tests.chaos.simulation.postgres import Fault, Server
from tests.chaos.simulation.real import RealServer
from tests.support.tenants import create_tenant

FAULTY_SECONDS = 20.0
LONGEST_SECONDS = 3600.0
CLIENT_SECONDS = 900.0
LOOK_SECONDS = 5.0
MONTH_ENDS = datetime.datetime(2026, 11, 30, 23, 59, 45, tzinfo=datetime.UTC)
MONTH_GOES_ON = datetime.datetime(2026, 11, 12, 12, 0, 0, tzinfo=datetime.UTC)
FAULTS: tuple[Fault, ...] = ("lost before", "lost after", "killed before", "killed after")
REFUSALS: tuple[Fault, ...] = ("deadlock", "conflict")
FURNISH = f"""
WITH one AS (
    INSERT INTO model (organization_id, id, training_id) VALUES ($1, $1 || ':model', $1 || ':training')
), two AS (
    INSERT INTO training (organization_id, id, model_id, status, artefact_key)
    VALUES ($1, $1 || ':training', $1 || ':model', 'succeeded', 'key')
), three AS (
    INSERT INTO data_bundle (organization_id, id, model_id, status, datasets)
    VALUES ($1, $1 || ':bundle', $1 || ':model', 'succeeded',
        '[{{"datasetId": "one", "numberOfDocuments": 100}}]')
)
INSERT INTO document (organization_id, id, content_key)
SELECT $1, $1 || ':' || number, key
FROM unnest('{{one/1,two/2,three/3,{UNREADABLE}/1}}'::text[]) WITH ORDINALITY AS content (key, number)
"""
DOCUMENTS = (1, 2, 3, 3, 4)


class Story:
    """Everything in it follows from ``seed``."""

    longest_seconds = LONGEST_SECONDS

    def __init__(self, real: RealServer, seed: int) -> None:
        self._real = real
        self.chance = chance = random.Random(seed)
        self._ids = random.Random(f"ids {seed}")
        self._begins = MONTH_ENDS if seed % 4 == 0 else MONTH_GOES_ON
        self._loop = SimulatedLoop()
        epoch = int(self._begins.timestamp() * 1_000_000)
        self.server = Server(real, self._loop, epoch=epoch, delay=lambda: chance.choice((0.0, 0.001, 0.05)))
        self._fault_rate = chance.choice((0.0, 0.003, 0.01, 0.03, 0.06))
        self.calm = self._fault_rate == 0.0
        """Nothing goes wrong in it, but for what its trainings do."""
        self.world = World(self.server, chance, calm=self.calm)
        self._patience = chance.choice((0.02, 0.2, 0.5))
        self.acknowledged: list[str] = []
        self.retried: list[str] = []
        self._organizations: list[str] = []
        self._slow: dict[str, float] = {}
        self._looked_at = 0.0

    def play(self) -> list[str]:
        """Returns what must not have happened; when the story has come to its end, that is nothing."""
        with self._determined():
            self._organizations = [self._real.do(self._furnish()) for _ in range(2)]
            main = self._loop.create_task(self._main())
            problem = None
            while problem is None:
                until_next_timer = self._loop.run_until_idle()
                self.server.tidy()
                if main.done() and self._all_have_ended():
                    break
                problem = self._go_on(until_next_timer)
            for process in self.server.processes:
                process.kill()
            self._loop.end()
            self.server.tidy()
        if main.done() and not main.cancelled() and main.exception() is not None:
            problem = repr(main.exception())
        return [*([problem] if problem else []), *self.world.broken]

    # What happens next

    def _go_on(self, until_next_timer: float | None) -> str | None:
        """Let one statement run, or time pass. Returns a problem when there is nothing to do any more."""
        now = self._loop.now
        if now > self.longest_seconds:
            return f"after {self.longest_seconds:g} s something is still waited for"
        asked = [
            one
            for one in self.server.asked
            if not one.is_put_off and self._slow.get(one.connection.process.name, 0.0) <= now
        ]
        if until_next_timer is None and not asked:
            return "everything stands still"
        if not asked or (
            until_next_timer is not None and until_next_timer < 1.0 and self.chance.random() < self._patience
        ):
            assert until_next_timer is not None
            self._loop.now += min(
                [until_next_timer, *(until - now for until in self._slow.values() if until > now)]
            )
            return None
        one = self.chance.choice(asked)
        fault = None
        if self.world.happens(self._fault_rate):
            fault = self.chance.choice((*FAULTS, *REFUSALS) if one.locks else FAULTS)
        self.server.answer(one, fault)
        return None

    def _all_have_ended(self) -> bool:
        """Looks now and then."""
        if self._loop.now < self._looked_at + LOOK_SECONDS:
            return False
        self._looked_at = self._loop.now
        rows = self._real.do(
            self._real.admin("SELECT FROM public.job WHERE state IN ('queued', 'running') LIMIT 1")
        )
        return not rows

    @contextlib.contextmanager
    def _determined(self) -> Iterator[None]:
        """Ids, chance and the month are the story's."""
        story = self

        def uuid4() -> uuid.UUID:
            return uuid.UUID(int=story._ids.getrandbits(128), version=4)

        class Clock(datetime.datetime):
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
                return story._begins + datetime.timedelta(seconds=story._loop.now)

        random.seed(self._ids.random())
        with (
            mock.patch.object(uuid, "uuid4", uuid4),
            mock.patch.object(meters, "datetime", Clock),
        ):
            yield

    async def _furnish(self) -> str:
        """An organization with its limits, a trained model, a bundle and some documents."""
        allowed = {
            "predictions": self.chance.choice((2, 5, 1000)),
            "pages": self.chance.choice((5, 9, 1000)),
            "fields": self.chance.choice((7, 12, 1000)),
            "trainings": self.chance.choice((1, 1000)),
        }
        await self._real.script(f"SET simulation.now = {self.server.clock}")
        limited_by = self.chance.choice(("pages", "fields"))
        tenant = await create_tenant(self._real.administration, allowed=allowed, limited_by=limited_by)
        await self._real.admin(FURNISH, tenant.organization_id)
        return tenant.organization_id

    # What the story is

    async def _main(self) -> None:
        world, chance = self.world, self.chance
        world.keep("api", Api, world.apis)
        for number in range(chance.randint(1, 2)):
            world.keep(f"counter {number}", Counter, world.counters)
        for number in range(chance.choice((1, 2, 2))):
            world.keep(f"dispatcher {number}", DispatcherProcess, world.dispatchers)
        moments = [chance.uniform(0.0, FAULTY_SECONDS * 0.6) for _ in range(2)]
        clients = [
            asyncio.create_task(self._client(chance.choice(moments))) for _ in range(chance.randint(4, 12))
        ]
        trouble = asyncio.create_task(self._trouble())
        await asyncio.sleep(FAULTY_SECONDS)
        self.server.note("nothing goes wrong any more")
        world.faults = False
        await asyncio.gather(trouble, *clients)

    async def _client(self, begins: float) -> None:
        chance = self.chance
        await asyncio.sleep(begins)
        try:
            async with asyncio.timeout(CLIENT_SECONDS):
                subject_id = await self._submit(chance.choice(self._organizations))
                if subject_id is None:
                    return
                self.acknowledged.append(subject_id)
                if chance.random() < 0.25:
                    await asyncio.sleep(chance.uniform(0.0, 10.0))
                    await self._asked(lambda api: api.cancel(subject_id))
                if chance.random() < 0.25:
                    await asyncio.sleep(chance.uniform(2.0, 12.0))
                    # Noted before it is known to have worked: its answer may be lost.
                    self.retried.append(subject_id)
                    await self._asked(lambda api: api.retry(subject_id))
        except TimeoutError:
            self.world.broken.append("a client was never answered")

    async def _submit(self, organization_id: str) -> str | None:
        """The id that is acknowledged, None when there is no such answer."""
        chance = self.chance
        if chance.random() < 0.25:
            poison = chance.random() < 0.4
            created: str | None = await self._asked(lambda api: api.train(organization_id))
            if poison and created is not None:
                self.world.poisonous.add(created)
            return created
        document_id = f"{organization_id}:{chance.choice(DOCUMENTS)}"
        waits = chance.random() < 0.4
        return cast(
            "str | None",
            await self._asked(lambda api: api.predict(organization_id, document_id=document_id, waits=waits)),
        )

    async def _asked(self, request: Callable[[Api], Awaitable[Any]]) -> Any:
        """The API's answer; None when it answered with an error, or its process died."""
        if not self.world.apis:
            return None
        api = self.world.apis[0]
        try:
            return await ask(api.process, request(api))
        except (Gone, PagemillError, *DATABASE_BUSY) as error:
            self.server.note(f"a client is answered {type(error).__name__} {error}")
            return None

    async def _trouble(self) -> None:
        """Now and then something larger goes wrong."""
        chance, world = self.chance, self.world
        while not self.calm:
            await asyncio.sleep(chance.uniform(0.5, 8.0))
            if not world.faults:
                return
            living: list[Any] = [*world.dispatchers, *world.counters, *world.apis]
            match chance.choice(("away", "stop", "slow", "slow", "kill")):
                case "away":
                    self.server.go_away(chance.choice((0.2, 3.0, 14.0)))
                case "stop" if world.dispatchers:
                    seconds = chance.choice((0.0, 5.0, None))
                    self.server.note(f"a dispatcher drains, for {seconds} s at most")
                    chance.choice(world.dispatchers).drain(seconds)
                case "slow" if living:
                    name = chance.choice([*world.dispatchers, *living]).process.name
                    seconds = chance.choice((1.0, 12.0, 18.0, 25.0))
                    self.server.note(f"{name} waits {seconds:g} s for Postgres")
                    self._slow[name] = self._loop.now + seconds
                case "kill" if living:
                    chance.choice(living).process.kill()
