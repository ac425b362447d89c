"""Supervisor: keeps the parts of a stack running, in the foreground, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import signal
import time
from collections.abc import Callable, Iterator

from pagemill.concurrency import cancel_and_wait
from pagemill.containers.engines import check_engine
from pagemill.errors import PagemillError
from pagemill.sandbox.probe import confinement_in_words
from pagemill.secret_box import open_secret_box
from pagemill.settings import Settings, to_environment
from pagemill.stack.certificates import Certificates
from pagemill.stack.container_gateway import admit_containers
from pagemill.stack.directory import StackError
from pagemill.stack.forwarding import forward_ipv6
from pagemill.stack.listening import described, ports_open_to_others
from pagemill.stack.mail_intake_part import MailIntakePart
from pagemill.stack.parts import Api, Apps, Database, Part
from pagemill.stack.probes import port_answers
from pagemill.stack.processes import end_marked
from pagemill.stack.progress import Progress
from pagemill.stack.ray_head import RayHead
from pagemill.stack.restarts import RestartPolicy, Restarts
from pagemill.stack.stack_configuration import StackConfiguration, metrics_url, worker_settings
from pagemill.stack.state_file import PartPhase, PartState, StackState

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Supervisor of one stack. The caller holds the lock of the data directory."""

    def __init__(
        self,
        configuration: StackConfiguration,
        progress: Progress,
        *,
        policy: RestartPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._configuration = configuration
        self._directory = configuration.directory
        self._progress = progress
        self._policy = policy or RestartPolicy()
        self._clock = clock
        self._database = Database(configuration)
        self._api = Api(configuration, self._settings)
        self._head = RayHead(configuration, self._settings) if configuration.embeds_ray else None
        self._apps = Apps(configuration, self._settings, self._head) if configuration.with_ray else None
        self._mail = MailIntakePart(configuration, self._settings) if configuration.takes_mail else None
        parts = (self._database, self._api, self._mail, self._head, self._apps)
        self._parts: list[Part] = [part for part in parts if part is not None]
        self._state = StackState(
            process_id=os.getpid(),
            url=configuration.url,
            port=configuration.port,
            parts={part.name: PartState() for part in self._parts},
        )
        self._stopping = asyncio.Event()

    def _settings(self) -> Settings:
        return self._configuration.settings(self._database.url, self._head.address if self._head else None)

    def _settings_so_far(self) -> Settings:
        """Return the settings before it is known where database and Ray are."""
        return self._configuration.settings("postgresql://unused", None)

    async def run(self) -> None:
        """Run until a signal comes. Raises PagemillError when the stack cannot be started."""
        self._check()
        leftovers = await asyncio.to_thread(
            end_marked, self._directory.marker, self._directory.postgres / "data"
        )
        if leftovers:
            self._progress.say(f"ended {leftovers} processes that an earlier run left behind")
        self._progress.say(f"documents are read with {await asyncio.to_thread(confinement_in_words)}")
        Certificates(self._directory.tls).ensure(datetime.datetime.now(datetime.UTC))
        with self._signals():
            forwarder = await forward_ipv6(self._configuration.port)
            admitting = asyncio.create_task(
                admit_containers(self._settings_so_far(), self._configuration.port, self._progress.say)
            )
            try:
                await self._supervise()
            finally:
                await cancel_and_wait([admitting])
                if forwarder is not None:
                    forwarder.close()
                await self._stop_all()

    def _check(self) -> None:
        # What is wrong with the operator's settings is said before anything is started.
        settings = self._settings_so_far()
        open_secret_box(settings)
        check_engine(settings)
        if port_answers(self._configuration.port):
            raise StackError(f"port {self._configuration.port} is in use: choose another with --port")

    async def _supervise(self) -> None:
        tasks = [asyncio.create_task(self._keep(part)) for part in self._parts]
        stop = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (stop, *tasks):
                task.cancel()
            await asyncio.gather(stop, *tasks, return_exceptions=True)

    async def _keep(self, part: Part) -> None:
        restarts = Restarts(self._policy, self._clock)
        await self._prerequisite(part).wait()
        while True:
            began = self._clock()
            self._note(part, "starting")
            try:
                await part.start()
                restarts.came_up()
                self._note(part, "up")
                self._progress.say(f"{part.name} up after {self._clock() - began:.1f} s")
                await self._announce()
                reason = await part.ended()
            except (PagemillError, OSError) as error:
                reason = str(error)
            delay = restarts.ended()
            self._note(part, "down", reason=reason, restarts=restarts.count)
            await part.stop()
            if not self._state.ready and restarts.hopeless():
                raise StackError(f"{part.name}: {reason}")
            self._progress.say(f"{part.name} down ({reason}), starting it again")
            await asyncio.sleep(delay)

    def _prerequisite(self, part: Part) -> asyncio.Event:
        if part is self._database:
            return _already()
        # The head only has to know where the database will be; the others use it at once.
        return self._database.known if part is self._head else self._database.prepared

    async def _announce(self) -> None:
        if self._state.ready or any(state.phase != "up" for state in self._state.parts.values()):
            return
        self._state.ready = True
        self._write_state()
        for address in self._addresses():
            self._progress.say(address)
        self._progress.say(described(await asyncio.to_thread(ports_open_to_others, self._directory.marker)))
        self._progress.ready(self._configuration.url)

    def _addresses(self) -> Iterator[str]:
        """Yield where an operator looks."""
        if self._state.dashboard_url is not None:
            yield f"Ray's dashboard {self._state.dashboard_url}, for the token in {self._directory.ray_token}"
        for url in (self._state.metrics_url, self._state.ray_metrics_url):
            if url is not None:
                yield f"metrics for Prometheus {url}"

    def _note(
        self, part: Part, phase: PartPhase, *, reason: str | None = None, restarts: int | None = None
    ) -> None:
        state = self._state.parts[part.name]
        state.phase = phase
        state.process_id = part.process_id
        state.reason = reason or state.reason
        state.restarts = state.restarts if restarts is None else restarts
        waiting = [name for name, other in self._state.parts.items() if other.phase != "up"]
        self._progress.waiting_for(waiting)
        self._write_state()

    def _write_state(self) -> None:
        if self._database.known.is_set():
            settings = self._settings()
            self._state.settings = to_environment(worker_settings(settings))
            self._state.ray_address = settings.ray_address
            self._state.metrics_url = metrics_url(settings)
        self._state.dashboard_url = self._head.dashboard_url if self._head else None
        self._state.ray_metrics_url = self._head.metrics_url if self._head else None
        self._directory.write(self._directory.state, self._state)

    async def _stop_all(self) -> None:
        self._progress.stopping()
        others = [part.stop() for part in self._parts if part is not self._database]
        await asyncio.gather(*others, return_exceptions=True)
        await self._database.stop()
        await asyncio.to_thread(end_marked, self._directory.marker, self._directory.postgres / "data")
        for state in self._state.parts.values():
            state.phase = "down"
            state.process_id = None
        self._state.ready = False
        self._write_state()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._stopping.set)
        try:
            yield
        finally:
            for number in SIGNALS:
                # Until the process is gone a second Ctrl-C must not interrupt the cleaning up.
                signal.signal(number, signal.SIG_IGN)


def _already() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
