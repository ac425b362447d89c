"""A child process has a socket and a clean environment, and ends when it is told to."""

from __future__ import annotations

import signal
import sys

import pytest

from pagemill.sandbox import child_process
from pagemill.sandbox.child_process import ChildProcess

ECHO = """
import os, socket, sys
connection = socket.socket(fileno=int(sys.argv[1]))
connection.sendall(repr(sorted(os.environ)).encode())
connection.recv(1)
{then}
"""


def start(monkeypatch: pytest.MonkeyPatch, then: str = "") -> ChildProcess:
    program = ECHO.format(then=then)
    monkeypatch.setattr(
        child_process,
        "child_command",
        lambda _, descriptor: [sys.executable, "-c", program, str(descriptor)],
    )
    child = ChildProcess("unused")
    child.connection.settimeout(60)
    return child


def test_a_child_sees_no_secrets_and_ends_with_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEMILL_TOKEN_KEY", "secret")
    child = start(monkeypatch, "sys.exit(3)")
    environment = child.connection.recv(65536)
    assert b"PATH" in environment
    assert b"GLIBC_TUNABLES" in environment
    assert b"PAGEMILL" not in environment
    assert child.is_running()
    assert child.end(60) == 3
    assert not child.is_running()


def test_a_child_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    child = start(monkeypatch, "while True: pass")
    child.connection.recv(65536)
    assert child.end(0.1) is None
    assert child.process.returncode == -signal.SIGKILL


def test_the_signal_that_ended_a_child_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    child = start(monkeypatch, "os.abort()")
    child.connection.recv(65536)
    assert child.end(60) == -signal.SIGABRT
