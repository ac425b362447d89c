"""Child processes: how they are started, found again and ended."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from pagemill.stack.directory import MARKER

SET_PARENT_DEATH_SIGNAL = 1
POLL_SECONDS = 0.05
ENDING_SECONDS = 10.0
LOG_BYTES = 32 * 1024 * 1024
OUR_PREFIX = "PAGEMILL_"
RAY_PROGRAM = (sys.executable, "-P", "-m", "ray.scripts.scripts")
"""The ``ray`` command of this interpreter, which needs no PATH."""


def child_environment(
    environ: Mapping[str, str], settings: Mapping[str, str], marker: str, **more: str
) -> dict[str, str]:
    """Return our environment without our settings, with the settings meant for the child."""
    inherited = {name: value for name, value in environ.items() if not name.startswith(OUR_PREFIX)}
    return inherited | dict(settings) | {MARKER: marker, "PYTHONUNBUFFERED": "1"} | more


class Child:
    """One child process in a session of its own, so that only we signal it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.process_id = process.pid

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
        """Start it with its output appended to ``log``.

        Call it on the thread that lives longest: the kernel ends the child when the thread that started it
        ends (Linux).
        """
        rotate(log)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                cwd="/",
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
        return cls(process)

    @property
    def running(self) -> bool:
        """Return whether the process is alive."""
        return self._process.returncode is None

    async def ended(self) -> int:
        """Return its exit status, as soon as it ends."""
        return await self._process.wait()

    async def stop(self, seconds: float) -> None:
        """Ask it to end, then end everything of its session."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), seconds)
            except TimeoutError:
                # Killed from the other thread, it might be waited for there: its exit status would be lost.
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
        await asyncio.to_thread(end_session, self.process_id)


def end_session(session: int) -> None:
    """Kill what is left of a session, and wait until it is gone."""
    _kill_all(lambda: [process for process in psutil.process_iter() if _session(process.pid) == session])


def end_marked(marker: str, postgres_data: Path) -> int:
    """End the processes that an ``up`` that was killed left behind; return how many there were."""
    others = kill_marked(marker)
    servers = [item for item in psutil.process_iter() if str(postgres_data) in _command_line(item)]
    # Postgres is asked to end, not killed: it then writes all it has, and starts fast the next time.
    for ask in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        for process in filter(_alive, servers):
            with contextlib.suppress(psutil.Error):
                process.send_signal(ask)
        psutil.wait_procs(servers, timeout=ENDING_SECONDS)
    return others + len(servers)


def kill_marked(marker: str) -> int:
    """Kill what carries a marker, and all others of its sessions; return how many processes there were."""
    return _kill_all(lambda: marked(marker))


def marked(marker: str) -> list[psutil.Process]:
    """Return the processes that carry a marker, and all others of their sessions.

    A process that changes its title may lose its environment; its session still tells whose it is.
    """
    carriers = {process.pid for process in psutil.process_iter() if _carries(process, marker)}
    sessions = {_session(process_id) for process_id in carriers} - {None, os.getsid(0)}
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and (process.pid in carriers or _session(process.pid) in sessions)
    ]


def _kill_all(find: Callable[[], Iterable[psutil.Process]], seconds: float = ENDING_SECONDS) -> int:
    """Kill until none is found: a process may have started another one meanwhile."""
    seen: set[int] = set()
    deadline = time.monotonic() + seconds
    while (found := [item for item in find() if _alive(item)]) and time.monotonic() < deadline:
        for process in found:
            seen.add(process.pid)
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=POLL_SECONDS)
    return len(seen)


def _alive(process: psutil.Process) -> bool:
    try:
        status: str = process.status()
    except psutil.Error:
        return False
    return process.pid != os.getpid() and status != str(psutil.STATUS_ZOMBIE)


def _session(process_id: int) -> int | None:
    try:
        return os.getsid(process_id)
    except OSError:
        return None


def _carries(process: psutil.Process, marker: str) -> bool:
    try:
        environment: dict[str, str] = process.environ()
    except (psutil.Error, OSError):
        return False
    return environment.get(MARKER) == marker


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def die_with_parent() -> Callable[[], None] | None:
    """Return what makes a child end with the thread that starts it: done in the child, before its program."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def before_exec() -> None:
        prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    return before_exec


def rotate(log: Path) -> None:
    """Put a log aside that has grown large; one older log is kept."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES:
            os.replace(log, log.with_name(f"{log.name}.1"))
