"""A child process has a socket and a clean environment, and ends when it is told to."""

from __future__ import annotations

import ast
import signal
import sys
from pathlib import Path

import pytest

from pagemill.sandbox import child_process
from pagemill.sandbox.child_process import ChildProcess, environment_of_functions

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


def test_a_child_is_told_nothing_by_its_environment_and_ends_with_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PAGEMILL_TOKEN_KEY", "secret")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    child = start(monkeypatch, "sys.exit(3)")
    names = ast.literal_eval(child.connection.recv(65536).decode())
    # Python itself adds the encoding that it has chosen.
    assert set(names) - {"LC_CTYPE"} == {"GLIBC_TUNABLES"}
    assert child.is_running()
    assert child.end(60) == 3
    assert not child.is_running()


def test_a_child_finds_its_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/somewhere")
    child = start(monkeypatch)
    assert b"LD_LIBRARY_PATH" in child.connection.recv(65536)
    child.end(60)


def test_a_module_runs_with_what_its_parent_can_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import os, socket, sys\n"
    program += "told = repr((__name__, sys.argv[1:], os.environ['OMP_NUM_THREADS'])).encode()\n"
    program += "socket.socket(fileno=int(sys.argv[1])).sendall(told)\n"
    (tmp_path / "only_here.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    child = ChildProcess("only_here")
    child.connection.settimeout(60)
    name, arguments, threads = ast.literal_eval(child.connection.recv(65536).decode())
    child.end(60)
    assert (name, len(arguments), threads) == ("__main__", 1, "1")


def test_functions_keep_what_their_operator_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEMILL_TOKEN_KEY", "secret")
    monkeypatch.setenv("TZ", "Europe/Oslo")
    environment = environment_of_functions()
    assert environment["TZ"] == "Europe/Oslo"
    assert "PATH" in environment
    assert not any(name.startswith("PAGEMILL_") for name in environment)


def test_a_child_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    child = start(monkeypatch, "while True: pass")
    child.connection.recv(65536)
    assert child.end(0.1) is None
    assert child.process.returncode == -signal.SIGKILL


def test_the_signal_that_ended_a_child_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    child = start(monkeypatch, "os.abort()")
    child.connection.recv(65536)
    assert child.end(60) == -signal.SIGABRT
