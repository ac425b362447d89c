"""A running ``pagemill up`` for tests of the stack itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from examples.local_stack import local_stack, without_settings
from pagemill.stack.directory import DataDirectory
from pagemill.stack.processes import marked
from pagemill.stack.reachable import server_directory
from tests.support.processes import PATIENCE_SECONDS, eventually


@dataclass(frozen=True, slots=True)
class RunningStack:
    """What a test may do with it."""

    data_directory: Path
    port: int
    process: subprocess.Popen[bytes]

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


def stack_processes(data_directory: Path) -> list[psutil.Process]:
    """Whatever carries the stack's marker, and its Postgres."""
    directory = DataDirectory(data_directory)
    found = {process.pid: process for process in marked(directory.marker)}
    data = str(server_directory(directory.postgres) / "data")
    for process in psutil.process_iter():
        try:
            if data in process.cmdline():
                found[process.pid] = process
        except psutil.Error:
            continue
    return list(found.values())


def pagemill(*arguments: str, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "pagemill.cli", *arguments],
        env=without_settings(os.environ) | dict(settings or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def wait_until_stopped(data_directory: Path) -> None:
    """Return when no process of the stack runs; what was killed is there for a moment yet."""
    eventually(
        lambda: stack_processes(data_directory), lambda found: not found, seconds=PATIENCE_SECONDS, pause=0.1
    )


@contextmanager
def running_stack(
    data_directory: Path, port: int, *arguments: str, settings: Mapping[str, str] | None = None
) -> Iterator[RunningStack]:
    """A stack on a port of the test's choice, stopped at the end."""
    with local_stack(data_directory, *arguments, port=port, settings=settings) as stack:
        yield RunningStack(stack.data_directory, port, stack.process)
