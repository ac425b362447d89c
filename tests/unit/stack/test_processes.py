"""Child processes are started alone, found by their marker, and ended with all that they started."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pagemill.stack import processes
from pagemill.stack.directory import MARKER
from pagemill.stack.processes import Child, child_environment, end_marked, end_session, marked

FOREVER = "import time\nwhile True: time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {FOREVER!r}])\n{FOREVER}"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where a child's output goes."""
    return tmp_path / "part.log"


@pytest.fixture
def marker() -> str:
    """A marker that no other process has."""
    return f"test-{os.urandom(8).hex()}"


def said(log: Path) -> str:
    return log.read_text()


def write(log: Path, text: str) -> None:
    log.write_text(text)


async def start(program: str, log: Path, marker: str = "none") -> Child:
    return await Child.start([sys.executable, "-c", program], os.environ | {MARKER: marker}, log)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - processes tell nobody
            await asyncio.sleep(0.02)


def test_a_child_sees_its_own_settings_only() -> None:
    ours = {"PATH": "/bin", "PAGEMILL_TOKEN_KEY": "secret", "LANG": "C"}
    seen = child_environment(ours, {"PAGEMILL_LOG_LEVEL": "INFO"}, "marker", RAY_AUTH_MODE="token")
    assert seen == {
        "PATH": "/bin",
        "LANG": "C",
        "PAGEMILL_LOG_LEVEL": "INFO",
        MARKER: "marker",
        "PYTHONUNBUFFERED": "1",
        "RAY_AUTH_MODE": "token",
    }


async def test_the_exit_status_is_told(log: Path) -> None:
    child = await start("import sys; sys.exit(7)", log)
    assert await child.ended() == 7
    assert not child.running


async def test_output_and_errors_go_to_the_log(log: Path) -> None:
    child = await start("import sys; print('out'); print('error', file=sys.stderr)", log)
    await child.ended()
    assert sorted(said(log).split()) == ["error", "out"]


async def test_the_log_is_appended_to(log: Path) -> None:
    for _ in range(2):
        await (await start("print('line')", log)).ended()
    assert said(log) == "line\nline\n"


async def test_a_long_log_is_put_aside(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOG_BYTES", 10)
    write(log, "a log of many bytes")
    await (await start("print('new')", log)).ended()
    assert said(log) == "new\n"
    assert said(log.with_name("part.log.1")) == "a log of many bytes"


async def test_a_child_has_a_session_of_its_own(log: Path) -> None:
    child = await start(FOREVER, log)
    assert os.getsid(child.process_id) == child.process_id
    await child.stop(5)


async def test_stopping_ends_what_the_child_has_started(log: Path) -> None:
    child = await start(PARENT, log)
    process = psutil.Process(child.process_id)
    await until(lambda: bool(process.children()))
    (grandchild,) = process.children()
    await child.stop(5)
    await until(lambda: not grandchild.is_running())
    assert not child.running


async def test_a_child_that_does_not_listen_is_killed(log: Path) -> None:
    child = await start(f"{DEAF}\n{FOREVER}", log)
    await until(lambda: "deaf" in said(log))
    await child.stop(0.2)
    assert await child.ended() == -9


async def test_stopping_a_child_that_has_ended_is_fine(log: Path) -> None:
    child = await start("", log)
    await child.ended()
    await child.stop(1)
    assert not child.running


async def test_processes_are_found_by_their_marker(log: Path, marker: str) -> None:
    child = await start(FOREVER, log, marker)
    await until(lambda: bool(marked(marker)))
    assert {process.pid for process in marked(marker)} == {child.process_id}
    assert marked(f"{marker}-other") == []
    await child.stop(5)
    assert marked(marker) == []


async def test_what_a_killed_supervisor_left_is_ended(log: Path, marker: str, tmp_path: Path) -> None:
    child = await start(PARENT, log, marker)
    await until(lambda: len(marked(marker)) == 2)
    assert await asyncio.to_thread(end_marked, marker, tmp_path / "data") == 2
    await child.ended()  # its status went to whoever waited first
    assert marked(marker) == []
    assert await asyncio.to_thread(end_marked, marker, tmp_path / "data") == 0


async def test_a_session_that_is_gone_is_ended_already(log: Path) -> None:
    child = await start("", log)
    await child.ended()
    await asyncio.to_thread(end_session, child.process_id)
