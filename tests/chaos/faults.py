"""What is killed, and how it comes back: by the platform itself unless it stands outside of the stack."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

import psutil

from tests.chaos.checker import API
from tests.chaos.history import Back, Killed, Recorder
from tests.chaos.world import World
from tests.support.processes import descendants, eventually, kill

RETURN_SECONDS = 180.0
POLL_SECONDS = 0.05
HEAD_AWAY = {True: 60.0, False: 3.0}
"""How long the head is away, in the long form and in the short one."""
STORAGE_AWAY = {True: 60.0, False: 8.0}
POSTGRES_SECONDS = {True: 300.0, False: 12.0}
"""For how long Postgres is killed again and again."""
POSTGRES_UP = {True: (5.0, 40.0), False: (3.0, 6.0)}
"""How long it runs in between."""
POSTGRES_AWAY = {True: (0.2, 8.0), False: (0.2, 2.0)}


@dataclass(frozen=True, slots=True)
class Fault:
    """``strike`` returns when what it killed is there again; whether it works is another question."""

    name: str
    strike: Callable[[World, Recorder, random.Random], Awaitable[None]]
    lasts: Mapping[bool, float] = field(default_factory=lambda: {True: 0.0, False: 0.0})
    """Over how many seconds operations are spread, so that all of it befalls some; in both forms."""

    def __str__(self) -> str:
        return self.name


def _of_stack(name: str, *titles: str, all_return: bool = False) -> Fault:
    """Processes of the stack, which it starts again itself; of replicas fewer may be enough."""

    def matches(line: str) -> bool:
        return any(title in line for title in titles)

    async def strike(world: World, recorder: Recorder, _chance: random.Random) -> None:
        await asyncio.to_thread(_kill_of_stack, world, recorder, name, matches, all_return)

    return Fault(name, strike)


def _kill_of_stack(
    world: World, recorder: Recorder, name: str, matches: Callable[[str], bool], all_return: bool
) -> None:
    supervisor = world.stack.process.pid
    victims = descendants(supervisor, matches)
    assert victims, f"no process of the stack is a {name}"
    recorder.note(Killed(what=name, process_ids=[victim.pid for victim in victims]))
    began = time.monotonic()
    kill(victims)
    gone = {victim.pid for victim in victims}
    eventually(
        lambda: [one for one in descendants(supervisor, matches) if one.pid not in gone and _lives(one)],
        lambda found: len(found) >= (len(victims) if all_return else 1),
        seconds=RETURN_SECONDS,
        pause=POLL_SECONDS,
    )
    recorder.note(Back(what=name, seconds=time.monotonic() - began))


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


async def _strike_api(world: World, recorder: Recorder, chance: random.Random) -> None:
    """The server with its workers; it is back when it answers."""
    from pagemill.stack.directory import DataDirectory
    from pagemill.stack.probes import api_answers

    authority = DataDirectory(world.stack.data_directory).ca_certificate
    port = int(world.stack.environment["LAS_AUTH_ENDPOINT"].rpartition(":")[2])

    def strike() -> None:
        victims = descendants(world.stack.process.pid, lambda line: "granian" in line)
        assert victims, "no process of the stack is the API"
        recorder.note(Killed(what=API, process_ids=[victim.pid for victim in victims]))
        began = time.monotonic()
        kill(victims)
        eventually(lambda: api_answers(port, authority), bool, seconds=RETURN_SECONDS, pause=POLL_SECONDS)
        recorder.note(Back(what=API, seconds=time.monotonic() - began))

    await asyncio.to_thread(strike)


async def _strike_head(world: World, recorder: Recorder, _chance: random.Random) -> None:
    """The supervisor would start it again at once: it stands still meanwhile."""

    def strike() -> None:
        victims = descendants(
            world.stack.process.pid, lambda line: "gcs_server" in line or "/raylet/raylet" in line
        )
        assert victims, "no process of the stack is the Ray head"
        recorder.note(Killed(what="Ray head", process_ids=[victim.pid for victim in victims]))
        began = time.monotonic()
        with standing_still(world.stack.process.pid):
            kill(victims)
            time.sleep(HEAD_AWAY[world.long])
        eventually(
            lambda: descendants(world.stack.process.pid, lambda line: "ray::ServeReplica" in line),
            lambda found: any(_lives(one) and one.create_time() > 0 for one in found),
            seconds=RETURN_SECONDS,
        )
        recorder.note(Back(what="Ray head", seconds=time.monotonic() - began))

    await asyncio.to_thread(strike)


@contextlib.contextmanager
def standing_still(process_id: int) -> Iterator[None]:
    """Stop a process, such as the supervisor, and let it go on at the end."""
    process = psutil.Process(process_id)
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


async def _strike_postgres(world: World, recorder: Recorder, chance: random.Random) -> None:
    """Again and again, as long as it is still to be told that it runs."""

    def strike_once(away: float) -> None:
        began = time.monotonic()
        recorder.note(Killed(what="Postgres", process_ids=kill_postgres(world)))
        time.sleep(away)
        world.postgres.start()
        recorder.note(Back(what="Postgres", seconds=time.monotonic() - began))

    until = time.monotonic() + POSTGRES_SECONDS[world.long]
    while time.monotonic() < until:
        await asyncio.to_thread(strike_once, chance.uniform(*POSTGRES_AWAY[world.long]))
        await asyncio.sleep(chance.uniform(*POSTGRES_UP[world.long]))


def kill_postgres(world: World) -> list[int]:
    """Kill the server with all its processes; their ids."""
    postmaster = psutil.Process(world.postgres.process_id)
    victims = [postmaster, *postmaster.children(recursive=True)]
    world.postgres.kill()
    kill(victims)
    return [victim.pid for victim in victims]


async def _strike_storage(world: World, recorder: Recorder, _chance: random.Random) -> None:
    began = time.monotonic()
    recorder.note(Killed(what="object storage", process_ids=[world.storage.kill()]))
    await asyncio.sleep(STORAGE_AWAY[world.long])
    await asyncio.to_thread(world.storage.start)
    recorder.note(Back(what="object storage", seconds=time.monotonic() - began))


FAULTS = (
    _of_stack("dispatchers", "ray::Dispatcher", all_return=True),
    Fault(API, _strike_api),
    _of_stack("usage counter", "ray::UsageCounter"),
    _of_stack("reading replica", "ray::ServeReplica:reading"),
    _of_stack("prediction replica", "ray::ServeReplica:prediction"),
    _of_stack("Serve controller", "ray::ServeController"),
    Fault("Postgres", _strike_postgres, POSTGRES_SECONDS),
    Fault("object storage", _strike_storage, STORAGE_AWAY),
    Fault("Ray head", _strike_head, HEAD_AWAY),
)
