"""Kinds of processes that are killed while executions run: each can die at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

import psutil

from tests.chaos.flows.site import Site, end
from tests.support.processes import PATIENCE_SECONDS, wait_until_gone

LOOK_SECONDS = 0.02
POSTGRES_AWAY: Final = (0.1, 1.0)
FUNCTIONS_MODULE: Final = "pagemill.workflows.functions.child"


@dataclass(frozen=True)
class Victim:
    """A kind of process. ``strike`` kills some of it as soon as there is one; it returns their ids."""

    name: str
    strike: Callable[[Site, random.Random], Awaitable[list[int]]]

    def __str__(self) -> str:
        return self.name


def _matching(
    name: str, matches: Callable[[psutil.Process], bool], which: Literal["one", "all", "trees"]
) -> Victim:
    """Processes of the site that match: one of them, all, or all with everything below them."""

    def look(site: Site) -> list[psutil.Process]:
        found = []
        for process in site.processes():
            with contextlib.suppress(psutil.Error):
                if matches(process):
                    found.append(process)
        return found

    async def strike(site: Site, chance: random.Random) -> list[int]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := await asyncio.to_thread(look, site)):
            assert time.monotonic() < deadline, f"there is no {name} to kill"
            await asyncio.sleep(LOOK_SECONDS)
        if which == "trees":
            killed = end(process.pid for process in found)
        else:
            killed = [process.pid for process in (found if which == "all" else [chance.choice(found)])]
            for process_id in killed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process_id, signal.SIGKILL)
        await asyncio.to_thread(wait_until_gone, *killed)
        return killed

    return Victim(name, strike)


def _line(process: psutil.Process) -> str:
    return " ".join(process.cmdline())


def _is_function(process: psutil.Process) -> bool:
    """Tell a call from the server that has forked it: both have the same command line."""
    parent = process.parent()
    return FUNCTIONS_MODULE in _line(process) and parent is not None and FUNCTIONS_MODULE in _line(parent)


def _is_fork_server(process: psutil.Process) -> bool:
    return FUNCTIONS_MODULE in _line(process) and not _is_function(process)


def _is_dispatcher(process: psutil.Process) -> bool:
    return any(title in _line(process) for title in ("benchmarks.flow_dispatcher", "ray::Dispatcher"))


async def _strike_postgres(site: Site, chance: random.Random) -> list[int]:
    """Kill the server with all its processes, and start it again a moment later."""
    assert site.postgres.process_id is not None
    killed = await asyncio.to_thread(end, [site.postgres.process_id])
    await asyncio.to_thread(site.postgres.kill)
    await asyncio.sleep(chance.uniform(*POSTGRES_AWAY))
    await asyncio.to_thread(site.postgres.start)
    return killed


async def _strike_container(site: Site, chance: random.Random) -> list[int]:
    engine = site.engine
    assert engine is not None
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := await asyncio.to_thread(engine.processes)):
        assert time.monotonic() < deadline, "there is no container to kill"
        await asyncio.sleep(LOOK_SECONDS)
    victim = chance.choice(found)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(victim).kill()
    return [victim]


def _is_ray_head(process: psutil.Process) -> bool:
    return any(part in _line(process) for part in ("gcs_server", "/raylet/raylet"))


DISPATCHER: Final = _matching("dispatcher", _is_dispatcher, "all")
FUNCTION: Final = _matching("function", _is_function, "one")
FORK_SERVER: Final = _matching("fork server of functions", _is_fork_server, "one")
API: Final = _matching("API", lambda process: "granian" in _line(process), "trees")
RAY_HEAD: Final = _matching("Ray head", _is_ray_head, "all")
POSTGRES: Final = Victim("Postgres", _strike_postgres)
CONTAINER: Final = Victim("container", _strike_container)
