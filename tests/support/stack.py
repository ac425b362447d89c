"""A running ``pagemill up`` for tests of the stack itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from pagemill.stack.directory import DataDirectory
from pagemill.stack.processes import marked
from tests.support.processes import eventually

READY_SECONDS = 60.0
STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RunningStack:
    """What a test may do with it."""

    data_directory: Path
    port: int
    process: subprocess.Popen[bytes]
    output: Path

    def environment(self) -> dict[str, str]:
        """What ``pagemill env`` exports, as a shell reads it."""
        command = f'eval "$({sys.executable} -m pagemill.cli env --data-dir "$1")" && env -0'
        done = subprocess.run(
            ["/bin/sh", "-c", command, "sh", str(self.data_directory)], capture_output=True, check=True
        )
        return dict(item.split("=", 1) for item in done.stdout.decode().split("\0") if "=" in item)

    def processes(self) -> list[psutil.Process]:
        """All processes that belong to the stack, the supervisor excepted."""
        return stack_processes(self.data_directory)

    def lines(self) -> list[str]:
        """What it said so far."""
        return self.output.read_text().splitlines()


def stack_processes(data_directory: Path) -> list[psutil.Process]:
    """Whatever carries the stack's marker, and its Postgres."""
    directory = DataDirectory(data_directory)
    found = {process.pid: process for process in marked(directory.marker)}
    for process in psutil.process_iter():
        try:
            if str(directory.postgres / "data") in process.cmdline():
                found[process.pid] = process
        except psutil.Error:
            continue
    return list(found.values())


def pagemill(*arguments: str, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "pagemill.cli", *arguments],
        env=_environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@contextmanager
def running_stack(
    data_directory: Path, port: int, *arguments: str, settings: Mapping[str, str] | None = None
) -> Iterator[RunningStack]:
    """Start ``pagemill up``, wait until it is ready, stop it with SIGTERM at the end."""
    output = data_directory.parent / f"{data_directory.name}.log"
    command = [sys.executable, "-m", "pagemill.cli", "up", "--data-dir", str(data_directory)]
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--port", str(port), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=_environment(settings),
            start_new_session=True,
        )
    stack = RunningStack(data_directory, port, process, output)
    try:
        eventually(
            lambda: (process.poll(), stack.lines()),
            lambda seen: seen[0] is not None or f"ready https://localhost:{port}" in seen[1],
            seconds=READY_SECONDS,
        )
        assert process.poll() is None, stack.lines()
        yield stack
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def _environment(settings: Mapping[str, str] | None) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PAGEMILL_")}
    return inherited | dict(settings or {})
