"""Parts of a stack: how each is started, watched and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from pagemill.api import server
from pagemill.cluster.failures import failures_in
from pagemill.concurrency import cancel_and_wait
from pagemill.settings import Settings, to_environment
from pagemill.stack.bootstrap import bootstrap, check_database, prepare_schema
from pagemill.stack.certificates import Certificates
from pagemill.stack.directory import StackError
from pagemill.stack.postgres import APPLICATION, OWNER, EmbeddedPostgres, PostgresError
from pagemill.stack.probes import api_answers
from pagemill.stack.processes import Child, child_environment
from pagemill.stack.ray_head import RayHead
from pagemill.stack.stack_configuration import (
    DATABASE_OWNER_URL,
    DATABASE_URL,
    StackConfiguration,
    deploy_settings,
)

POLL_SECONDS = 0.1
API_SECONDS = 60.0
DEPLOY_SECONDS = 240.0
DEPLOYING = (sys.executable, "-P", "-m", "pagemill.cluster.deploy")
STOP_SECONDS = 10.0


class Part(Protocol):
    """A part that the supervisor keeps running."""

    name: str

    @property
    def process_id(self) -> int | None:
        """Return its main process, None without one."""
        ...

    async def start(self) -> None:
        """Start it and return when it answers. Raises PagemillError or OSError."""
        ...

    async def ended(self) -> str:
        """Return how it ended, as soon as it does."""
        ...

    async def stop(self) -> None:
        """Stop it and leave no process behind; also after a start that failed."""
        ...


class Database:
    """Postgres, embedded or the operator's own: migrated and with its first organization once it is up."""

    name = "postgres"

    def __init__(self, configuration: StackConfiguration) -> None:
        self._configuration = configuration
        self._server: EmbeddedPostgres | None = None
        self._starting: asyncio.Task[None] | None = None
        self.known = asyncio.Event()
        """``url`` can be asked for."""
        self.prepared = asyncio.Event()
        """Migrated, and the first organization is there."""
        if configuration.embeds_postgres:
            self._server = EmbeddedPostgres(configuration.directory.postgres)
        self._look()

    @property
    def process_id(self) -> int | None:
        """Return the embedded server's process, None without one."""
        return self._server.process_id if self._server else None

    @property
    def url(self) -> str:
        """Return the URL of the role that runs everything, where it answers or will."""
        if self._server is not None:
            return self._server.url(role=APPLICATION)
        return self._configuration.environ[DATABASE_URL]

    @property
    def _owner_url(self) -> str:
        if self._server is not None:
            return self._server.url(role=OWNER)
        return self._configuration.environ.get(DATABASE_OWNER_URL) or self.url

    def _look(self) -> None:
        with contextlib.suppress(PostgresError):
            assert self.url
            self.known.set()

    async def start(self) -> None:
        """Start the embedded server; migrate and bootstrap the first time."""
        if self._server is not None:
            self._starting = asyncio.create_task(asyncio.to_thread(self._server.start))
            await asyncio.shield(self._starting)
            if not self.prepared.is_set():
                await asyncio.to_thread(self._server.prepare_roles)
            self._look()
        if not self.prepared.is_set():
            await asyncio.to_thread(check_database, self._owner_url)
            await asyncio.to_thread(prepare_schema, self._owner_url, self.url)
            credentials = self._configuration.directory.credentials_made_once()
            await asyncio.to_thread(bootstrap, self._owner_url, credentials)
            self.prepared.set()

    async def ended(self) -> str:
        """Return how the server ended, as soon as it does."""
        while self._server is None or self._server.running():  # noqa: ASYNC110 - a Popen tells nobody
            await asyncio.sleep(POLL_SECONDS)
        return "the server process ended"

    async def stop(self) -> None:
        """Stop the embedded server."""
        if self._server is None:
            return
        if self._starting is not None:
            # A thread cannot be cancelled: what it is about to start is waited for, then stopped.
            await asyncio.wait([self._starting])
        await asyncio.to_thread(self._server.stop)


class Api:
    """The API server, with TLS on 127.0.0.1."""

    name = "api"

    def __init__(self, configuration: StackConfiguration, settings: Callable[[], Settings]) -> None:
        self._configuration = configuration
        self._certificates = Certificates(configuration.directory.tls)
        self._settings = settings
        self._child: Child | None = None

    @property
    def process_id(self) -> int | None:
        """Return the server's process, None without one."""
        return self._child.process_id if self._child else None

    async def start(self) -> None:
        """Start the server and return when it answers."""
        directory = self._configuration.directory
        log = directory.log(self.name)
        settings = to_environment(self._settings())
        environment = child_environment(self._configuration.environ, settings, directory.marker)
        self._child = await Child.start(self._command(), environment, log)
        deadline = time.monotonic() + API_SECONDS
        while not await asyncio.to_thread(
            api_answers, self._configuration.port, self._certificates.authority
        ):
            if not self._child.running:
                raise StackError(f"the API did not start, see {log}")
            if time.monotonic() > deadline:
                raise StackError(f"the API did not answer within {API_SECONDS:g} s, see {log}")
            await asyncio.sleep(POLL_SECONDS)

    def _command(self) -> list[str]:
        return [
            sys.executable,
            "-P",
            "-m",
            "granian",
            *server.SERVER_OPTIONS,
            "--host=127.0.0.1",
            f"--port={self._configuration.port}",
            "--workers-kill-timeout=5",
            "--ssl-protocol-min=tls1.2",
            f"--ssl-certificate={self._certificates.certificate}",
            f"--ssl-keyfile={self._certificates.key}",
            server.APPLICATION,
        ]

    async def ended(self) -> str:
        """Return its exit status, as soon as it ends."""
        assert self._child is not None
        return f"exit status {await self._child.ended()}"

    async def stop(self) -> None:
        """Stop the server."""
        if self._child is not None:
            await self._child.stop(STOP_SECONDS)


class Apps:
    """The applications on Ray, deployed by a program that ends, and again for each new head."""

    name = "apps"

    def __init__(
        self,
        configuration: StackConfiguration,
        settings: Callable[[], Settings],
        head: RayHead | None,
        *,
        program: Sequence[str] = DEPLOYING,
    ) -> None:
        self._configuration = configuration
        self._settings = settings
        self._head = head
        self._program = program
        self._generation = 0
        self._child: Child | None = None

    @property
    def process_id(self) -> int | None:
        """Return the deploying program's process, None when it has ended."""
        return self._child.process_id if self._child and self._child.running else None

    async def start(self) -> None:
        """Deploy to the head that serves now."""
        while self._head is not None and self._head.serving in (None, self._generation):
            await self._head.change()
        if self._head is not None and self._head.serving is not None:
            self._generation = self._head.serving
        directory = self._configuration.directory
        log = directory.log(self.name)
        environment = child_environment(
            self._configuration.environ,
            to_environment(deploy_settings(self._settings())),
            directory.marker,
            **(self._head.client_environment() if self._head else {}),
        )
        begin = log.stat().st_size if log.exists() else 0
        self._child = await Child.start(self._program, environment, log)
        failure = await self._failure(self._child, log, begin)
        if failure is not None:
            self._generation = 0
            raise StackError(f"{failure}, see {log}")

    async def _failure(self, child: Child, log: Path, begin: int) -> str | None:
        """Wait for the program; return why the apps are not deployed, None when they are."""
        deploying, gone = asyncio.create_task(child.ended()), asyncio.create_task(self.ended())
        try:
            # On a head that has ended the program would look for it for minutes.
            done, _ = await asyncio.wait(
                (deploying, gone), timeout=DEPLOY_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            await cancel_and_wait([deploying, gone])
        if deploying not in done:
            return (
                gone.result() if gone in done else f"the apps were not deployed within {DEPLOY_SECONDS:g} s"
            )
        if deploying.result() == 0:
            return None
        reasons = "; ".join(failures_in(log, begin)) or f"exit status {deploying.result()}"
        return f"the apps were not deployed ({reasons})"

    async def ended(self) -> str:
        """Return when the head that was deployed to has ended."""
        if self._head is None:
            await asyncio.Event().wait()
        while self._head is not None and self._head.serving == self._generation:
            await self._head.change()
        return "the Ray head ended"

    async def stop(self) -> None:
        """Stop the deploying program."""
        if self._child is not None:
            await self._child.stop(STOP_SECONDS)
