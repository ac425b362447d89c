"""Local stack for the length of a program: ``pagemill up`` as a child, stopped at the end."""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 300.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.2
LOG_NAME = "up.log"
PR_SET_PDEATHSIG = 1
COMMAND = (sys.executable, "-m", "pagemill.cli")


class StackFailed(Exception):
    """The stack did not start; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class LocalStack:
    """A running stack. ``environment`` points the official clients at it; ``log`` is its output."""

    data_directory: Path
    process: subprocess.Popen[bytes]
    environment: Mapping[str, str]
    log: Path

    def status(self) -> dict[str, Any]:
        """Return the answer of ``pagemill status --json``, of a stack with a part that is down too."""
        output = _run("status", "--json", "--data-dir", str(self.data_directory), accepted=(0, 1))
        status: dict[str, Any] = json.loads(output)
        return status


@contextmanager
def local_stack(
    data_directory: Path,
    *arguments: str,
    port: int | None = None,
    settings: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] = lambda line: None,
) -> Iterator[LocalStack]:
    """Start a stack, on a free port unless given, and stop it at the end. ``on_line`` gets its output.

    It sees only ``settings``: PAGEMILL_* of the caller belong to another stack. Raises StackFailed.
    """
    data_directory = data_directory.resolve()
    data_directory.mkdir(parents=True, exist_ok=True)
    log = data_directory / LOG_NAME
    command = [*COMMAND, "up", "--data-dir", str(data_directory), "--port", str(port or _free_port())]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=without_settings(os.environ) | dict(settings or {}),
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
    try:
        _wait_until_ready(process, log, on_line)
        yield LocalStack(data_directory, process, client_environment(data_directory), log)
    finally:
        _stop(process)


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the settings of any stack."""
    return {name: value for name, value in environ.items() if not name.startswith("PAGEMILL_")}


def client_environment(data_directory: Path) -> dict[str, str]:
    """Return the variables that ``pagemill env`` exports."""
    lines = _run("env", "--data-dir", str(data_directory)).splitlines()
    words = [word for line in lines for word in shlex.split(line, comments=True) if "=" in word]
    return dict(word.split("=", 1) for word in words)


def _run(*arguments: str, accepted: Sequence[int] = (0,)) -> str:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    if done.returncode not in accepted or not done.stdout:
        raise StackFailed(f"pagemill {arguments[0]} failed: {done.stderr.strip()[-1000:]}")
    return done.stdout


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path, on_line: Callable[[str], None]) -> None:
    deadline = time.monotonic() + START_SECONDS
    heard = 0
    while time.monotonic() < deadline:
        lines = log.read_text(errors="replace").splitlines()
        for line in lines[heard:]:
            on_line(line)
        heard = len(lines)
        if any(line.startswith("ready https://") for line in lines):
            return
        if process.poll() is not None:
            break
        time.sleep(POLL_SECONDS)
    raise StackFailed(f"the stack did not start, see {log}: {log.read_text(errors='replace')[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the stack as Ctrl-C does, then by force."""
    for end in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(end)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue


def _end_with_parent() -> None:
    """End the child together with its parent: a program that is killed leaves no stack behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
