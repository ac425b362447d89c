"""Docker of a test session's own, for those who have its programs: ``PAGEMILL_TEST_ENGINE=docker``."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tests.support.directories import temporary_directory
from tests.support.step_engine import IMAGE, NETWORK, StepEngine, one_engine_at_a_time
from tests.support.step_images import import_changes, write_image

PROGRAMS = ("dockerd", "containerd", "docker", "runc")
START_SECONDS = 60.0
COMMAND_SECONDS = 120.0


@dataclass(frozen=True)
class DockerDaemon:
    """A running daemon: what tests need of an engine."""

    directory: Path

    @property
    def url(self) -> str:
        return f"unix://{self.directory}/docker.sock"

    def docker(self, *arguments: str) -> str:
        """Return what a command prints."""
        done = subprocess.run(
            ["docker", "--host", self.url, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.strip()

    @property
    def gateway(self) -> str:
        """Address of this machine in the containers' network."""
        [network] = json.loads(self.docker("network", "inspect", NETWORK))
        return str(network["IPAM"]["Config"][0]["Gateway"])

    def containers(self) -> list[str]:
        """Return the names of all containers."""
        return self.docker("ps", "--all", "--format", "{{.Names}}").split()

    def starts_of(self, name: str) -> int:
        """Return how often a container of this name was started; events of the last second are waited for."""
        shown = self.docker(
            *("events", "--since", "1h", "--until", str(int(time.time()) + 1), "--filter", "event=start"),
            *("--filter", f"container={name}", "--format", "{{.ID}}"),
        )
        return len(shown.split())

    def clear(self) -> None:
        """Remove all containers."""
        found = self.docker("ps", "--all", "--quiet").split()
        if found:
            self.docker("rm", "--force", *found)


AnyEngine: TypeAlias = StepEngine | DockerDaemon


def missing_docker() -> str:
    """Return why Docker cannot be run here, empty when it can."""
    if os.geteuid() != 0:
        return "only root runs an engine for tests"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


@contextlib.contextmanager
def docker_daemon() -> Iterator[DockerDaemon]:
    """Run a daemon with ``IMAGE``, which changes no rule of this machine's firewall."""
    with one_engine_at_a_time(), temporary_directory("pagemill-docker-") as place:
        daemon = DockerDaemon(place)
        with _serving(daemon):
            archive = place / "image.tar"
            write_image(archive)
            changes = [word for change in import_changes() for word in ("--change", change)]
            daemon.docker("import", *changes, str(archive), IMAGE)
            archive.unlink()
            try:
                yield daemon
            finally:
                daemon.clear()
                with contextlib.suppress(AssertionError):
                    daemon.docker("network", "rm", NETWORK)


@contextlib.contextmanager
def _serving(daemon: DockerDaemon) -> Iterator[None]:
    place = daemon.directory
    command = [
        *("dockerd", "--host", daemon.url, "--data-root", place / "data", "--exec-root", place / "exec"),
        *("--pidfile", place / "pid", "--bridge", "none", "--iptables=false", "--storage-driver", "vfs"),
    ]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=place)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (place / "docker.sock").exists() or not _answers(daemon):
            assert process.poll() is None, (place / "log").read_text()[-3000:]
            assert time.monotonic() < deadline, "the engine does not start"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=COMMAND_SECONDS)


def _answers(daemon: DockerDaemon) -> bool:
    try:
        daemon.docker("version")
    except AssertionError:
        return False
    return True
