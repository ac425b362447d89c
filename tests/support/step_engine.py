"""Podman of a test session's own: with an image for steps, and nothing of the machine's other containers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.support.directories import temporary_directory
from tests.support.step_images import import_changes, write_image

IMAGE = "localhost/pagemill-test-step:1"
NETWORK = "pagemill-test"
PROGRAMS = ("podman", "runc", "iptables")
# What Podman needs where this machine is a container or a small virtual machine itself.
ULIMITS = "nofile=1024:4096,nproc=1024:4096"
CONFIGURATION = """
[network]
network_backend = "netavark"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
events_logfile_path = "{directory}/events.log"
"""
# Registries of tests are on this machine, and without TLS.
REGISTRIES = """
[[registry]]
location = "127.0.0.1"
insecure = true
"""
LOCK = Path("/tmp/pagemill-step-engine.lock")
START_SECONDS = 20.0
COMMAND_SECONDS = 60.0
CLEAR_ATTEMPTS = 5


@dataclass(frozen=True)
class StepEngine:
    """A running service of Podman."""

    directory: Path

    @property
    def url(self) -> str:
        return f"unix://{self.directory}/podman.sock"

    def podman(self, *arguments: str) -> str:
        """Return what a command prints."""
        done = subprocess.run(
            [*self._command(), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
            env=self._environment(),
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.strip()

    def containers(self) -> list[str]:
        """Return the names of all containers."""
        return self.podman("ps", "--all", "--format", "{{.Names}}").split()

    def starts_of(self, name: str) -> int:
        """Return how often a container of this name was started."""
        shown = self.podman(
            *("events", "--stream=false", "--since", "1h", "--filter", "event=start"),
            *("--filter", f"container={name}", "--format", "{{.ID}}"),
        )
        return len(shown.split())

    def starts(self) -> dict[str, int]:
        """Return how often each container was started, by its name."""
        shown = self.podman(
            *("events", "--stream=false", "--since", "1h", "--filter", "event=start"),
            *("--filter", "type=container", "--format", "{{.Name}}"),
        )
        return dict(Counter(shown.split()))

    def processes(self) -> list[int]:
        """Return the ids of the first processes of the containers that run."""
        return [int(one) for one in self.podman("ps", "--format", "{{.Pid}}").split()]

    def clear(self) -> None:
        """Remove all containers; what one of them still holds is free a moment later."""
        for _ in range(CLEAR_ATTEMPTS - 1):
            with contextlib.suppress(AssertionError):
                self.podman("rm", "--force", "--all", "--time", "0")
                return
            time.sleep(0.2)
        self.podman("rm", "--force", "--all", "--time", "0")

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Serve the API while the block runs."""
        command = [*self._command(), "system", "service", "--time", "0", self.url]
        with (self.directory / "service.log").open("ab") as log:
            # conmon writes a file where it was started when a container needs too much memory.
            service = subprocess.Popen(
                command, stdout=log, stderr=log, env=self._environment(), cwd=self.directory
            )
        try:
            self._wait(service)
            yield
        finally:
            service.terminate()
            service.wait(timeout=COMMAND_SECONDS)

    def _wait(self, service: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not (self.directory / "podman.sock").exists():
            assert service.poll() is None, (self.directory / "service.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the engine does not start"
            time.sleep(0.05)

    @property
    def options(self) -> tuple[str, ...]:
        """Options by which a command of Podman finds what is this engine's."""
        places = {"--root": "root", "--runroot": "run", "--network-config-dir": "networks"}
        return tuple(word for option, name in places.items() for word in (option, str(self.directory / name)))

    @property
    def gateway(self) -> str:
        """Address of this machine in the containers' network."""
        [network] = json.loads(self.podman("network", "inspect", NETWORK))
        return str(network["subnets"][0]["gateway"])

    def _command(self) -> list[str]:
        return ["podman", *self.options]

    def _environment(self) -> dict[str, str]:
        files = {"CONTAINERS_CONF": "containers.conf", "CONTAINERS_REGISTRIES_CONF": "registries.conf"}
        return {**os.environ, **{name: str(self.directory / file) for name, file in files.items()}}


def missing_engine() -> str:
    """Return why no engine can be run here, empty when one can."""
    if os.geteuid() != 0:
        return "only root runs an engine for tests"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


@contextlib.contextmanager
def step_engine() -> Iterator[StepEngine]:
    """Run an engine with ``IMAGE``; of all sessions on this machine one at a time: networks are its own."""
    with one_engine_at_a_time(), temporary_directory("pagemill-engine-") as place:
        engine = StepEngine(place)
        (engine.directory / "containers.conf").write_text(CONFIGURATION.format(directory=place))
        (engine.directory / "registries.conf").write_text(REGISTRIES)
        archive = engine.directory / "image.tar"
        write_image(archive)
        changes = [word for change in import_changes() for word in ("--change", change)]
        engine.podman("import", *changes, str(archive), IMAGE)
        archive.unlink()
        with engine.serving():
            try:
                yield engine
            finally:
                engine.clear()
                with contextlib.suppress(AssertionError):
                    engine.podman("network", "rm", "--force", NETWORK)
        engine.podman("rmi", "--all", "--force")


@contextlib.contextmanager
def one_engine_at_a_time() -> Iterator[IO[str]]:
    """Wait until no other session of tests on this machine runs an engine."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
