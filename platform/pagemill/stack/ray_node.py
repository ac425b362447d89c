"""Ray on one node of a cluster: started, watched, told to go before its machine is taken away, and ended.

It stands in for ``ray start`` and ``ray stop``: the latter ends every Ray of a machine, and nothing of Ray
hears the notice with which a cloud takes a spot machine away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import psutil

from pagemill.stack.directory import MARKER, DataDirectory, StackError
from pagemill.stack.processes import RAY_PROGRAM, die_with_parent, end_session, kill_marked, rotate
from pagemill.stack.restarts import RestartPolicy, Restarts
from pagemill.stack.spilled_objects import remove_spilled_objects, spilling_directories

STARTED = b"Ray runtime started."
"""Line that ``ray start`` writes when the node has joined, or the head answers."""
ENDED = b"Ray ended (exit status "
"""Line of the watcher before it starts Ray again, which would hide why the first start failed."""
START_SECONDS = 120.0
STOP_SECONDS = 120.0
"""A node may drain as long as a spot machine has after its notice."""
POLL_SECONDS = 0.1
NOTICE_SECONDS = 5.0
"""Interval in which AWS advises to look for notices."""
METADATA_SECONDS = 2.0
TAIL_BYTES = 4000
POLICY = RestartPolicy(first_delay=1.0, longest_delay=30.0, calm=300.0)
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class NodeState(msgspec.Struct, frozen=True, kw_only=True):
    """The process that watches Ray on this node."""

    process_id: int
    created: float
    """When the process began, in seconds since 1970: another one may have its number later."""


class NodeDirectory:
    """Directory of what is known of a node: its process and its log."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.path.mkdir(parents=True, exist_ok=True)

    @property
    def log(self) -> Path:
        """Return the file of what Ray's start and the watcher say."""
        return self.path / "node.log"

    @property
    def marker(self) -> str:
        """Return the value of MARKER in the environment of all processes of the node."""
        return DataDirectory(self.path).marker

    @property
    def _state(self) -> Path:
        return self.path / "node.json"

    def read(self) -> NodeState | None:
        """Return what was started last and not stopped, None when there is no such thing."""
        try:
            return msgspec.json.decode(self._state.read_bytes(), type=NodeState)
        except FileNotFoundError:
            return None

    def write(self, process_id: int) -> None:
        """Write down the process that watches Ray."""
        state = NodeState(process_id=process_id, created=psutil.Process(process_id).create_time())
        self._state.write_bytes(msgspec.json.encode(state))

    def forget(self) -> None:
        """Forget the process."""
        self._state.unlink(missing_ok=True)


def start_node(directory: NodeDirectory, command: Sequence[str], seconds: float = START_SECONDS) -> None:
    """Start a program that runs Ray, and return when it has joined; what ran before is stopped first.

    Raises StackError, with the end of its log, when Ray does not start.
    """
    stop_node(directory)
    rotate(directory.log)
    with directory.log.open("ab") as log:
        began = log.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**os.environ, MARKER: directory.marker},
            start_new_session=True,
        )
    directory.write(process.pid)
    deadline = time.monotonic() + seconds
    while STARTED not in (written := _written(directory.log, began)):
        if process.poll() is not None or ENDED in written or time.monotonic() > deadline:
            stop_node(directory, 0)
            process.wait()
            tail = written[-TAIL_BYTES:].decode(errors="replace")
            raise StackError(f"Ray did not start, see {directory.log}:\n{tail}")
        time.sleep(POLL_SECONDS)
    # It outlives this process, which is what Python would warn of.
    process.returncode = 0


def stop_node(directory: NodeDirectory, seconds: float = STOP_SECONDS) -> bool:
    """Stop Ray on this node, and nothing else: ask it to drain, then kill what is left after some seconds.

    Return whether there was anything to stop.
    """
    asked = False
    if (state := directory.read()) is not None:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            watcher = psutil.Process(state.process_id)
            if watcher.create_time() == state.created:
                asked = True
                watcher.terminate()
                watcher.wait(seconds)
    killed = kill_marked(directory.marker)
    directory.forget()
    return asked or killed > 0


class RayNode:
    """Runs ``ray start --block`` until it ends, is asked to, or the machine is announced to go."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        notices: str | None,
        restarts: bool,
        say: Callable[[str], None],
        program: Sequence[str] = RAY_PROGRAM,
        policy: RestartPolicy = POLICY,
    ) -> None:
        self._command = (*program, "start", "--block", *arguments)
        self._notices = notices
        self._restarts = restarts
        self._say = say
        self._policy = policy
        self._leaving = asyncio.Event()

    async def run(self) -> int:
        """Run Ray, again when it ends if it ``restarts``; return its last exit status."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._leaving.set)
        history = Restarts(self._policy, time.monotonic)
        while True:
            history.came_up()
            status = await self._run_once()
            if self._leaving.is_set() or not self._restarts:
                return status
            delay = history.ended()
            self._say(f"Ray ended (exit status {status}), again in {delay:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), delay)
                return status

    async def _run_once(self) -> int:
        for directory in spilling_directories(self._command):
            await asyncio.to_thread(remove_spilled_objects, directory)
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
        ended = asyncio.create_task(process.wait())
        reason = asyncio.create_task(self._reason_to_leave())
        await asyncio.wait([ended, reason], return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            self._say(f"{reason.result()}: Ray drains this node")
            # Ray drains for RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S seconds at most, and ends.
            process.terminate()
        reason.cancel()
        status = await ended
        # What a killed `ray start` leaves behind would keep the ports of the next one.
        await asyncio.to_thread(end_session, process.pid)
        return status

    async def _reason_to_leave(self) -> str:
        """Return why this node has to go, as soon as it has to."""
        while not self._leaving.is_set():
            if self._notices and (announced := await asyncio.to_thread(spot_notice, self._notices)):
                self._leaving.set()
                return f"the machine will be taken away ({announced})"
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), NOTICE_SECONDS)
        return "asked to end"


def spot_notice(metadata: str) -> str | None:
    """Return what the instance metadata service of AWS (IMDSv2) announces for this machine, None for nothing.

    ``metadata`` is the service's URL. A service that does not answer announces nothing.
    """
    # A proxy of the environment must not be asked: it would answer for a machine of its own.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    ask = urllib.request.Request(
        f"{metadata}/latest/api/token",
        method="PUT",
        headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"},
    )
    try:
        with opener.open(ask, timeout=METADATA_SECONDS) as answer:
            token = answer.read().decode()
        look = urllib.request.Request(
            f"{metadata}/latest/meta-data/spot/instance-action", headers={"X-aws-ec2-metadata-token": token}
        )
        with opener.open(look, timeout=METADATA_SECONDS) as answer:
            announced: str = answer.read(TAIL_BYTES).decode(errors="replace")
    except (urllib.error.URLError, OSError):
        return None
    return " ".join(announced.split())


def watcher_command(arguments: Sequence[str], *, notices: str | None, restarts: bool) -> list[str]:
    """Return the command line of ``pagemill node run``."""
    return [
        *(sys.executable, "-P", "-m", "pagemill.cli", "node", "run"),
        *(["--restart"] if restarts else []),
        *([f"--spot-notices={notices}"] if notices else []),
        "--",
        *arguments,
    ]


def _written(log: Path, since: int) -> bytes:
    with log.open("rb") as file:
        file.seek(since)
        return file.read()
