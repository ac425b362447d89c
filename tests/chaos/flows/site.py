"""The platform as processes without Ray: an API, a dispatcher of workflows, and a Postgres of their own.

Each is started again when it ends, as a service manager does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from db.migrate import migrate
from pagemill.concurrency import cancel_and_wait
from pagemill.secret_box import new_secret_key
from pagemill.settings import Settings, to_environment
from pagemill.stack.certificates import Certificates
from pagemill.stack.container_gateway import admit_containers
from pagemill.stack.postgres import EmbeddedPostgres, free_port
from pagemill.stack.probes import api_answers
from tests.chaos.flows.definitions import FUNCTIONS, PROGRAM
from tests.support.processes import PATIENCE_SECONDS
from tests.support.running import eventually
from tests.support.step_api import made_certificates
from tests.support.step_engine import NETWORK, ULIMITS, StepEngine

AGAIN_SECONDS = 0.1
# Killed, Postgres has what the system has taken; only the machine's own death would lose that.
POSTGRES_SETTINGS = {"fsync": "off", "full_page_writes": "off"}


@dataclass
class Site:
    """What a run may kill, and how its clients reach it. ``roots`` are the ancestors of all processes."""

    settings: Settings
    postgres: EmbeddedPostgres
    url: str
    authority: Path
    calls: Path
    engine: StepEngine | None
    roots: list[int] = field(default_factory=list)

    def processes(self) -> list[psutil.Process]:
        """Return all processes but those of Postgres and of containers."""
        return [process for root in self.roots for process in tree(root)]


def tree(root: int) -> list[psutil.Process]:
    """Return a process, if it is there, and all below it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    return []


def end(process_ids: Iterable[int]) -> list[int]:
    """Kill -9 processes with all below them; return which were there. Nobody's exit status is fetched."""
    found = [process for root in process_ids for process in tree(root)]
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return [process.pid for process in found]


def write_functions(directory: Path) -> Path:
    """Write the functions of the flows, and return the file that maps them."""
    (directory / "flow_steps.py").write_text(PROGRAM)
    file = directory / "functions.toml"
    file.write_text("[functions]\n" + "".join(f'{name} = "flow_steps:{name}"\n' for name in FUNCTIONS))
    return file


@asynccontextmanager
async def running_site(directory: Path, engine: StepEngine | None) -> AsyncIterator[Site]:
    """Start everything in a directory, and end it."""
    certificates = made_certificates(directory / "tls")
    (directory / "objects").mkdir()
    (directory / "calls").mkdir()
    postgres = EmbeddedPostgres(directory / "postgres", settings=POSTGRES_SETTINGS)
    await asyncio.to_thread(postgres.start)
    try:
        await asyncio.to_thread(migrate, postgres.url())
        port = free_port()
        settings = _settings(directory, postgres, port, certificates, engine)
        url = f"https://localhost:{port}"
        site = Site(settings, postgres, url, certificates.authority, directory / "calls", engine)
        commands = [_api(port, certificates), _dispatcher()]
        async with _keeping(site, commands, directory), _door(settings, port):
            await eventually(
                lambda: asyncio.to_thread(api_answers, port, certificates.authority), seconds=PATIENCE_SECONDS
            )
            yield site
    finally:
        await asyncio.to_thread(postgres.stop)


def _settings(
    directory: Path,
    postgres: EmbeddedPostgres,
    port: int,
    certificates: Certificates,
    engine: StepEngine | None,
) -> Settings:
    containers = {}
    if engine is not None:
        containers = {
            "container_engine_url": engine.url,
            "container_network": NETWORK,
            "container_ulimits": ULIMITS,
            "container_ca_file": str(certificates.authority),
        }
    return Settings(
        database_url=postgres.url(),
        objects_url=(directory / "objects").as_uri(),
        token_key="k" * 32,
        secret_keys=new_secret_key("test"),
        public_url=f"https://localhost:{port}",
        job_lease=3.0,
        job_heartbeat=0.5,
        job_poll=1.0,
        functions_file=str(write_functions(directory)),
        function_concurrency=4,
        function_memory=0.5,
        **containers,
    )


def _api(port: int, certificates: Certificates) -> list[str]:
    return [
        *(sys.executable, "-P", "-m", "granian", "--interface=asgi", "--factory", "--host=127.0.0.1"),
        *(f"--port={port}", "--no-ws", f"--ssl-certificate={certificates.certificate}"),
        *(f"--ssl-keyfile={certificates.key}", "pagemill.api.app:create_app"),
    ]


def _dispatcher() -> list[str]:
    return [sys.executable, "-m", "benchmarks.flow_dispatcher"]


@asynccontextmanager
async def _keeping(site: Site, commands: Sequence[list[str]], directory: Path) -> AsyncIterator[None]:
    """Keep a process of each command running, and kill them with all that they have started at the end."""
    site.roots = [0] * len(commands)
    keepers = [
        asyncio.create_task(_keep(site, place, command, directory / f"process-{place}.log"))
        for place, command in enumerate(commands)
    ]
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.wait(keepers)


async def _keep(site: Site, place: int, command: Sequence[str], log: Path) -> None:
    environment = {**os.environ, **to_environment(site.settings)}
    while True:
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command, env=environment, stdout=output, stderr=output
            )
        site.roots[place] = process.pid
        try:
            await process.wait()
        finally:
            # Cancelled, it ends what it keeps.
            end([process.pid])
            await process.wait()
        site.roots[place] = 0
        await asyncio.sleep(AGAIN_SECONDS)


@asynccontextmanager
async def _door(settings: Settings, port: int) -> AsyncIterator[None]:
    """Let containers reach the API."""
    door = asyncio.create_task(admit_containers(settings, port, lambda _: None))
    try:
        yield
    finally:
        # Containers that were killed have not closed their ends.
        forwarding = [task for task in asyncio.all_tasks() if "_forwarding_to" in repr(task.get_coro())]
        await cancel_and_wait([door, *forwarding])
