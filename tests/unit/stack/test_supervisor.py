"""The supervisor starts parts in their order, starts dead ones again, gives up, and stops all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pagemill.errors import Unavailable
from pagemill.stack import supervisor as module
from pagemill.stack.directory import DataDirectory, StackError
from pagemill.stack.postgres import free_port
from pagemill.stack.restarts import RestartPolicy
from pagemill.stack.stack_configuration import StackConfiguration
from pagemill.stack.state_file import StackState
from pagemill.stack.supervisor import Supervisor

QUICK = RestartPolicy(first_delay=0.0, longest_delay=0.0, patience=3)
URL = "postgresql://user:password@127.0.0.1:1/pagemill"


class FakePart:
    """A part that starts at once, or fails as often as is wanted, and ends when it is told to."""

    process_id: int | None = 4711

    def __init__(self, name: str, events: list[str], *, failures: int = 0) -> None:
        self.name, self._events, self.failures = name, events, failures
        self._end = asyncio.Event()

    async def start(self) -> None:
        self._events.append(f"start {self.name}")
        if self.failures:
            self.failures -= 1
            raise Unavailable(f"{self.name} does not start")

    async def ended(self) -> str:
        await self._end.wait()
        self._end.clear()
        return "exit status 1"

    async def stop(self) -> None:
        self._events.append(f"stop {self.name}")

    def die(self) -> None:
        self._end.set()


class FakeDatabase(FakePart):
    """Known from its beginning, prepared once it has started."""

    url = URL

    def __init__(self, events: list[str], *, failures: int = 0) -> None:
        super().__init__("postgres", events, failures=failures)
        self.known, self.prepared = asyncio.Event(), asyncio.Event()
        self.known.set()

    async def start(self) -> None:
        await super().start()
        self.prepared.set()


class FakeHead(FakePart):
    """A Ray head with an address."""

    address, dashboard_url = "127.0.0.1:6379", "http://127.0.0.1:8265"
    metrics_url = "http://127.0.0.1:9999/metrics"


class Recorded:
    """Progress that is kept as lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.is_ready = asyncio.Event()

    def say(self, line: str) -> None:
        self.lines.append(line)

    def waiting_for(self, parts: Sequence[str]) -> None:
        return

    def ready(self, url: str) -> None:
        self.lines.append(f"ready {url}")
        self.is_ready.set()

    def stopping(self) -> None:
        self.lines.append("stopping")


class World:
    """A supervisor whose parts are fakes."""

    def __init__(self, directory: DataDirectory, *, with_ray: bool = True) -> None:
        self.events: list[str] = []
        self.progress = Recorded()
        self.directory = directory
        self.database = FakeDatabase(self.events)
        self.api = FakePart("api", self.events)
        self.head = FakeHead("ray", self.events)
        self.apps = FakePart("apps", self.events)
        self.configuration = StackConfiguration(directory, {}, free_port(), with_ray=with_ray)
        self.supervisor: Supervisor

    @property
    def state(self) -> StackState:
        state = self.directory.read(self.directory.state, StackState)
        assert state is not None
        return state

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - lists tell nobody
                await asyncio.sleep(0.005)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    """Make a world; its supervisor ends nothing of this machine."""

    def make(**options: bool) -> World:
        directory = DataDirectory(tmp_path)
        directory.prepare()
        made = World(directory, **options)
        monkeypatch.setattr(module, "Database", lambda _: made.database)
        monkeypatch.setattr(module, "Api", lambda *_: made.api)
        monkeypatch.setattr(module, "RayHead", lambda *_: made.head)
        monkeypatch.setattr(module, "Apps", lambda *_: made.apps)
        monkeypatch.setattr(module, "end_marked", lambda *_: 0)
        monkeypatch.setattr(module, "ports_open_to_others", lambda _: [])
        monkeypatch.setattr(module, "confinement_in_words", lambda: "seccomp; the kernel lacks Landlock")
        monkeypatch.setattr(module.signal, "signal", lambda *_: None)
        made.supervisor = Supervisor(made.configuration, made.progress, policy=QUICK)
        return made

    return make


async def stop(world: World, running: asyncio.Task[None]) -> None:
    world.supervisor._stopping.set()
    await asyncio.wait_for(running, 60)


async def test_a_stack_comes_up_and_is_stopped(world: Callable[..., World]) -> None:
    made = world()
    running = asyncio.create_task(made.supervisor.run())
    await asyncio.wait_for(made.progress.is_ready.wait(), 60)
    assert made.state.ready
    assert {name: part.phase for name, part in made.state.parts.items()} == dict.fromkeys(
        ("postgres", "api", "ray", "apps"), "up"
    )
    await stop(made, running)
    assert made.progress.lines[-1] == "stopping"
    assert not made.state.ready
    assert {part.phase for part in made.state.parts.values()} == {"down"}


async def test_the_database_starts_before_what_uses_it_and_stops_last(world: Callable[..., World]) -> None:
    made = world()
    running = asyncio.create_task(made.supervisor.run())
    await asyncio.wait_for(made.progress.is_ready.wait(), 60)
    started = [event for event in made.events if event.startswith("start")]
    assert started.index("start postgres") < started.index("start api")
    assert started.index("start postgres") < started.index("start apps")
    await stop(made, running)
    assert made.events[-1] == "stop postgres"


async def test_without_ray_only_database_and_api_run(world: Callable[..., World]) -> None:
    made = world(with_ray=False)
    running = asyncio.create_task(made.supervisor.run())
    await asyncio.wait_for(made.progress.is_ready.wait(), 60)
    assert set(made.state.parts) == {"postgres", "api"}
    assert not [line for line in made.progress.lines if "dashboard" in line]
    await stop(made, running)
    assert not any("ray" in event or "apps" in event for event in made.events)


@pytest.mark.parametrize("name", ["database", "api", "head", "apps"])
async def test_a_part_that_dies_is_started_again(world: Callable[..., World], name: str) -> None:
    made = world()
    running = asyncio.create_task(made.supervisor.run())
    await asyncio.wait_for(made.progress.is_ready.wait(), 60)
    part: FakePart = getattr(made, name)
    part.die()
    await made.until(lambda: made.events.count(f"start {part.name}") == 2)
    await made.until(lambda: made.state.parts[part.name].phase == "up")
    assert made.state.parts[part.name].restarts == 1
    assert made.state.parts[part.name].reason == "exit status 1"
    assert f"{part.name} down (exit status 1), starting it again" in made.progress.lines
    assert made.events.index(f"stop {part.name}") < len(made.events) - 1
    await stop(made, running)


async def test_ready_is_announced_once(world: Callable[..., World]) -> None:
    made = world()
    running = asyncio.create_task(made.supervisor.run())
    await asyncio.wait_for(made.progress.is_ready.wait(), 60)
    made.api.die()
    await made.until(lambda: made.events.count("start api") == 2)
    await made.until(lambda: made.state.parts["api"].phase == "up")
    await stop(made, running)
    assert made.progress.lines.count(f"ready {made.configuration.url}") == 1


async def test_the_address_of_the_dashboard_is_said_before_ready(world: Callable[..., World]) -> None:
    made = world()
    running = asyncio.create_task(made.supervisor.run())
    await asyncio.wait_for(made.progress.is_ready.wait(), 60)
    said = f"Ray's dashboard {FakeHead.dashboard_url}, for the token in {made.directory.ray_token}"
    metrics = f"metrics for Prometheus {FakeHead.metrics_url}"
    closed = "nothing listens beyond this machine"
    assert made.progress.lines[-4:] == [said, metrics, closed, f"ready {made.configuration.url}"]
    await stop(made, running)


async def test_a_part_that_fails_at_first_is_tried_again(world: Callable[..., World]) -> None:
    made = world()
    made.api.failures = 2
    running = asyncio.create_task(made.supervisor.run())
    await asyncio.wait_for(made.progress.is_ready.wait(), 60)
    assert made.events.count("start api") == 3
    await stop(made, running)


async def test_a_part_that_never_starts_ends_everything(world: Callable[..., World]) -> None:
    made = world()
    made.api.failures = 99
    with pytest.raises(StackError, match="api: api does not start"):
        await asyncio.wait_for(made.supervisor.run(), 60)
    assert made.events.count("start api") == QUICK.patience
    assert made.events[-1] == "stop postgres"


async def test_once_ready_no_number_of_failures_ends_it(world: Callable[..., World]) -> None:
    made = world()
    running = asyncio.create_task(made.supervisor.run())
    await asyncio.wait_for(made.progress.is_ready.wait(), 60)
    made.apps.failures = 5
    made.apps.die()
    await made.until(lambda: made.events.count("start apps") == 7)
    assert not running.done()
    await stop(made, running)


async def test_the_walls_around_documents_are_said_at_the_start(world: Callable[..., World]) -> None:
    made = world()
    running = asyncio.create_task(made.supervisor.run())
    await asyncio.wait_for(made.progress.is_ready.wait(), 60)
    await stop(made, running)
    assert made.progress.lines[0] == "documents are read with seccomp; the kernel lacks Landlock"


async def test_a_taken_port_is_said_before_anything_starts(world: Callable[..., World]) -> None:
    made = world()
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", made.configuration.port)
    with pytest.raises(StackError, match=f"port {made.configuration.port} is in use"):
        await made.supervisor.run()
    assert made.events == []
    server.close()
    await server.wait_closed()


async def test_what_an_earlier_run_left_is_ended_first(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world()
    monkeypatch.setattr(module, "end_marked", lambda *_: 3)
    running = asyncio.create_task(made.supervisor.run())
    await asyncio.wait_for(made.progress.is_ready.wait(), 60)
    assert made.progress.lines[0] == "ended 3 processes that an earlier run left behind"
    await stop(made, running)


async def test_the_state_tells_workers_no_keys(world: Callable[..., World]) -> None:
    made = world()
    running = asyncio.create_task(made.supervisor.run())
    await asyncio.wait_for(made.progress.is_ready.wait(), 60)
    told = made.state.settings
    assert told["PAGEMILL_DATABASE_URL"] == URL
    assert made.directory.token_key() not in told.values()
    assert made.directory.secret_keys() not in told.values()
    await stop(made, running)
