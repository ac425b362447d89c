"""Stacks of the jobs benchmark: a stack as ``pagemill up`` starts it, and a bare Ray."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks.api_servers import UNLIMITED
from examples.local_stack import local_stack
from pagemill.settings import Settings, load_settings, to_environment
from pagemill.stack.directory import DataDirectory
from pagemill.stack.postgres import OWNER, EmbeddedPostgres
from pagemill.stack.processes import child_environment, marked
from pagemill.stack.ray_head import RayHead
from pagemill.stack.stack_configuration import StackConfiguration
from pagemill.stack.state_file import StackState
from tests.support.stack import stack_processes

DEPLOY_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Stack:
    """A running ``pagemill up``."""

    directory: DataDirectory
    state: StackState
    supervisor: psutil.Process

    @property
    def settings(self) -> Settings:
        """Return the settings of the stack."""
        return load_settings(self.state.settings)

    @property
    def owner_url(self) -> str:
        """Return the URL of the role that may make tables, unlike that of the settings."""
        port = urlsplit(self.settings.database_url).port
        return EmbeddedPostgres(self.directory.postgres, port=port).url(role=OWNER)

    def processes(self) -> list[psutil.Process]:
        """Return all its processes."""
        return [self.supervisor, *stack_processes(self.directory.path)]

    def deploy(self, *arguments: str) -> str:
        """Deploy applications that do nothing; return the output of the program."""
        configuration = StackConfiguration(self.directory, {}, port=self.state.port)
        environment = RayHead(configuration, lambda: self.settings).client_environment()
        return _deploy(self.directory, self.state.settings, environment, *arguments)


@contextmanager
def running_stack(settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Run everything on this machine, with its own data."""
    with tempfile.TemporaryDirectory(prefix="pagemill-benchmark-") as path:
        Path(path).chmod(0o711)
        with local_stack(Path(path), settings=UNLIMITED | dict(settings or {})) as local:
            directory = DataDirectory(local.data_directory)
            state = directory.read(directory.state, StackState)
            assert state is not None
            yield Stack(directory, state, psutil.Process(local.process.pid))


@contextmanager
def bare_ray() -> Iterator[DataDirectory]:
    """Run the Ray that a stack starts, with Serve and one replica that does nothing."""
    with tempfile.TemporaryDirectory(prefix="pagemill-benchmark-") as path:
        directory = DataDirectory(Path(path))
        directory.prepare()
        configuration = StackConfiguration(directory, {}, port=0)
        settings = configuration.settings("postgresql://unused", None)
        head = RayHead(configuration, lambda: settings)
        with asyncio.Runner() as runner:
            try:
                runner.run(head.start())
                given = {**to_environment(settings), "PAGEMILL_RAY_ADDRESS": str(head.address)}
                _deploy(directory, given, head.client_environment())
                yield directory
            finally:
                runner.run(head.stop())


def _deploy(
    directory: DataDirectory, settings: Mapping[str, str], ray: Mapping[str, str], *arguments: str
) -> str:
    environment = child_environment(os.environ, settings, directory.marker, **ray)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.idle_applications", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEPLOY_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"nothing was deployed:\n{done.stderr[-2000:]}")
    return done.stdout


def probe_beside(stack: Stack) -> dict[str, float]:
    """Return the milliseconds of a call of an application that does nothing, in each rhythm."""
    found: dict[str, dict[str, float]] = json.loads(stack.deploy("beside").strip().splitlines()[-1])
    return found["serveCall"]


def probe(stack: Stack, organization_id: str) -> dict[str, dict[str, float]]:
    """Replace the applications; return the duration of a call and of a reservation."""
    found: dict[str, dict[str, float]] = json.loads(
        stack.deploy("predictions", organization_id).strip().splitlines()[-1]
    )
    return found


def idle_cpu(stack: Stack, windows: int, seconds: float) -> dict[str, object]:
    """Return the percent of a core that each uses with nothing to do, in the same minutes."""
    with bare_ray() as bare:
        time.sleep(seconds / 2)  # what starting has left to do
        ours, theirs, parts = [], [], {}
        for _ in range(windows):
            sides = {"ours": stack.processes(), "bareRay": marked(bare.marker)}
            before = {side: _cpu_seconds(processes) for side, processes in sides.items()}
            began = time.perf_counter()
            time.sleep(seconds)
            passed = time.perf_counter() - began
            used = {side: _used(sides[side], before[side]) for side in sides}
            ours.append(100 * sum(used["ours"].values()) / passed)
            theirs.append(100 * sum(used["bareRay"].values()) / passed)
            parts = {
                side: {name: round(100 * value / passed, 2) for name, value in _largest(used[side])}
                for side in used
            }
    above = [one - other for one, other in zip(ours, theirs, strict=True)]
    return {
        "ours": round(statistics.median(ours), 1),
        "bareRay": round(statistics.median(theirs), 1),
        "above": round(statistics.median(above), 1),
        "windows": windows,
        "secondsOfEach": seconds,
        "largest": parts,
    }


def _cpu_seconds(processes: Sequence[psutil.Process]) -> dict[psutil.Process, float]:
    found = {}
    for process in processes:
        with suppress(psutil.Error):
            times = process.cpu_times()
            found[process] = times.user + times.system
    return found


def _used(processes: Sequence[psutil.Process], before: Mapping[psutil.Process, float]) -> dict[str, float]:
    """Return CPU seconds by name of the process; leave out those that came or went meanwhile."""
    used: dict[str, float] = {}
    for process, seconds in _cpu_seconds(processes).items():
        if process in before:
            name = process_name(process)
            used[name] = used.get(name, 0.0) + seconds - before[process]
    return used


def _largest(used: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(used.items(), key=lambda item: -item[1])[:8]


def process_name(process: psutil.Process) -> str:
    """Return the name of a process, without its arguments."""
    with suppress(psutil.Error):
        words = process.cmdline()
        if words and words[0].startswith(("ray::", "postgres:")):
            return " ".join(words)[:40].split(" 127.0.0.1")[0]
        for word in words:
            if word.endswith(
                (".py", "granian", "pagemill.cli", "gcs_server", "raylet", "ray.scripts.scripts")
            ):
                return Path(word).name
        return str(process.name())
    return "ended"
