"""Embedded Ray head: one ``ray start --head --block`` at a time."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pagemill.settings import Settings, to_environment
from pagemill.stack.directory import StackError
from pagemill.stack.postgres import free_port
from pagemill.stack.probes import port_answers
from pagemill.stack.processes import Child, child_environment
from pagemill.stack.spilled_objects import remove_spilled_objects
from pagemill.stack.stack_configuration import StackConfiguration, worker_settings

HEAD_PROGRAM = (sys.executable, "-P", "-m", "pagemill.stack.ray_program")
POLL_SECONDS = 0.1
START_SECONDS = 90.0
STOP_SECONDS = 3.0
"""Ray's workers hold no truth: what does not end by itself soon is killed."""
OBJECT_STORE_BYTES = 400 * 1024 * 1024
KEPT_SESSIONS = 2
# Ray puts sockets below its directory, and the path of a socket is limited to 107 bytes.
SHORT_DIRECTORY = "/tmp"  # noqa: S108 - a private directory is made in it
SHORT_PREFIX = "pm-"
RESERVED_PORTS = range(10002, 20000)


@dataclass(frozen=True, slots=True)
class HeadPorts:
    """Ports of one head; ``client`` is for one that has a server of Ray's client, unlike the embedded one."""

    head: int
    client: int
    dashboard: int
    dashboard_agent: int
    metrics_agent: int
    runtime_env_agent: int
    metrics: int


def choose_ports(previous: HeadPorts | None) -> HeadPorts:
    """Return free ports; the dashboard and the metrics keep their own unless these were taken."""
    return HeadPorts(
        head=_free_port(),
        client=_free_port(),
        dashboard=_kept_port(previous.dashboard if previous else None),
        dashboard_agent=_free_port(),
        metrics_agent=_free_port(),
        runtime_env_agent=_free_port(),
        metrics=_kept_port(previous.metrics if previous else None),
    )


def head_command(ports: HeadPorts, cpus: int, directory: Path) -> list[str]:
    """Return the command line of a head."""
    return [
        *HEAD_PROGRAM,
        "start",
        "--head",
        "--block",
        "--disable-usage-stats",
        "--node-ip-address=127.0.0.1",
        f"--port={ports.head}",
        "--include-dashboard=true",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={ports.dashboard}",
        f"--dashboard-agent-listen-port={ports.dashboard_agent}",
        f"--metrics-export-port={ports.metrics}",
        # Ray waits 15 s for one of these that it is not told, and dies: a busy machine takes longer.
        f"--dashboard-agent-grpc-port={ports.metrics_agent}",
        f"--runtime-env-agent-port={ports.runtime_env_agent}",
        # Two Rays on one machine would take the same range of ports for their workers.
        "--min-worker-port=0",
        "--max-worker-port=0",
        f"--num-cpus={cpus}",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        f"--temp-dir={directory}",
    ]


class RayHead:
    """Supervised head. ``serving`` numbers the heads: None while none answers."""

    name = "ray"

    def __init__(self, configuration: StackConfiguration, settings: Callable[[], Settings]) -> None:
        self._configuration = configuration
        self._settings = settings
        self._child: Child | None = None
        self._short: Path | None = None
        self._generations = 0
        self._changed = asyncio.Event()
        self.serving: int | None = None
        self.ports: HeadPorts | None = None

    @property
    def process_id(self) -> int | None:
        """Return the head's process, None without one."""
        return self._child.process_id if self._child else None

    @property
    def address(self) -> str | None:
        """Return ``host:port`` for drivers."""
        return f"127.0.0.1:{self.ports.head}" if self.ports else None

    @property
    def dashboard_url(self) -> str | None:
        """Return the URL of the dashboard, None before the first start."""
        return f"http://127.0.0.1:{self.ports.dashboard}" if self.ports else None

    @property
    def metrics_url(self) -> str | None:
        """Return the URL of the metrics of all that runs on Ray, None before the first start."""
        return f"http://127.0.0.1:{self.ports.metrics}/metrics" if self.ports else None

    def client_environment(self) -> dict[str, str]:
        """Return the environment that a process needs to connect; the same for the head and for drivers."""
        token = self._configuration.directory.write_ray_token()
        return {
            "RAY_AUTH_MODE": "token",
            # Meant for other systems: without it Ray takes 127.0.0.1 for an address that others can reach.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            # The line above would start an HTTP proxy on port 8000 whatever serve.start says: none is needed,
            # and two stacks on one machine would fight for the port.
            "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_agent_register_timeout_ms": "120000",
            # Threads of a training that wait must not spin: on a busy machine that costs it a factor of ten.
            "OMP_WAIT_POLICY": "PASSIVE",
            "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
            # A process that has called an application ends when the controller has answered what it asks in
            # the background, 30 to 60 s after its work is done: those of data bundles would pile up.
            "LISTEN_FOR_CHANGE_REQUEST_TIMEOUT_S_LOWER_BOUND": "5",
            "LISTEN_FOR_CHANGE_REQUEST_TIMEOUT_S_UPPER_BOUND": "10",
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        }

    async def start(self) -> None:
        """Start a head and return when it answers."""
        directory = self._configuration.directory
        log = directory.log(self.name)
        self.ports = choose_ports(self.ports)
        environment = child_environment(
            self._configuration.environ,
            to_environment(worker_settings(self._settings())),
            directory.marker,
            **self.client_environment(),
            # There is no other node that could take the work: draining would only delay the end by 30 s.
            RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S="0",
        )
        environment.pop("RAY_ADDRESS", None)
        command = head_command(self.ports, self._configuration.ray_cpus, self._prepare_directory())
        self._child = await Child.start(command, environment, log)
        deadline = time.monotonic() + START_SECONDS
        while not await asyncio.to_thread(_answers, self.ports):
            if not self._child.running:
                raise StackError(f"the Ray head did not start, see {log}")
            if time.monotonic() > deadline:
                raise StackError(f"the Ray head did not answer within {START_SECONDS:g} s, see {log}")
            await asyncio.sleep(POLL_SECONDS)
        self._generations += 1
        self._serve(self._generations)

    async def ended(self) -> str:
        """Return its exit status, as soon as it ends."""
        assert self._child is not None
        status = await self._child.ended()
        self._serve(None)
        return f"exit status {status}"

    async def stop(self) -> None:
        """Stop the head."""
        self._serve(None)
        if self._child is not None:
            await self._child.stop(STOP_SECONDS)
        if self._short is not None:
            await asyncio.to_thread(shutil.rmtree, self._short, ignore_errors=True)
            self._short = None

    async def change(self) -> None:
        """Return when ``serving`` has changed."""
        await self._changed.wait()

    def _serve(self, generation: int | None) -> None:
        self.serving = generation
        self._changed.set()
        self._changed = asyncio.Event()

    def _prepare_directory(self) -> Path:
        """Return a short path to a directory below the logs, which outlive the head."""
        sessions = self._configuration.directory.logs / "ray-sessions"
        sessions.mkdir(exist_ok=True)
        for old in sorted(sessions.glob("session_2*"))[:-KEPT_SESSIONS]:
            shutil.rmtree(old, ignore_errors=True)
        # Logs are kept; what a head that was killed had moved from memory to disk is of documents.
        for session in sessions.glob("session_2*"):
            remove_spilled_objects(session)
        for name in ("ray_current_cluster", "session_latest"):
            with contextlib.suppress(FileNotFoundError):
                (sessions / name).unlink()
        base = Path(SHORT_DIRECTORY if Path(SHORT_DIRECTORY).is_dir() else tempfile.gettempdir())
        _remove_links(base, sessions)
        self._short = Path(tempfile.mkdtemp(prefix=SHORT_PREFIX, dir=base))
        link = self._short / "r"
        link.symlink_to(sessions)
        return link


def _remove_links(base: Path, sessions: Path) -> None:
    """Remove links that an ``up`` that was killed left there."""
    for link in base.glob(f"{SHORT_PREFIX}*/r"):
        with contextlib.suppress(OSError):
            if link.readlink() == sessions:
                shutil.rmtree(link.parent)


def _answers(ports: HeadPorts) -> bool:
    return port_answers(ports.head) and port_answers(ports.dashboard)


def _kept_port(port: int | None) -> int:
    """Return a port that clients know already, or another one when it was taken."""
    return port if port is not None and not port_answers(port) else _free_port()


def _free_port() -> int:
    """Return a free port outside the range that Ray's workers take by default."""
    while (port := free_port()) in RESERVED_PORTS:
        continue
    return port
