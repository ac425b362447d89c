"""Starting and stopping a stack as a child, against a stand-in for the ``pagemill`` command."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from examples import local_stack as module
from examples.local_stack import StackFailed, local_stack
from tests.support.processes import is_alive

STAND_IN = """
import os, signal, sys, time
# As the command does: it stops at Ctrl-C also where it was begun in the background, with the signal ignored.
signal.signal(signal.SIGINT, lambda number, frame: sys.exit())
if sys.argv[1] == "env":
    print("# for eval")
    print("export LAS_CLIENT_ID='an id'")
    print('export LAS_API_ENDPOINT=https://localhost:1/v1')
elif sys.argv[1] == "status":
    print('{"ray": {"dashboardUrl": "http://localhost:8265"}}')
elif os.environ.get("STAND_IN_FAILS"):
    print("Postgres does not start")
    sys.exit(3)
else:
    print("starting Postgres", flush=True)
    print("ready https://localhost:1", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMAND", (sys.executable, "-c", STAND_IN))


def test_it_runs_meanwhile_and_is_gone_afterwards(tmp_path: Path) -> None:
    heard: list[str] = []

    with local_stack(tmp_path / "data", on_line=heard.append) as stack:
        assert is_alive(stack.process.pid)
        assert stack.environment == {
            "LAS_CLIENT_ID": "an id",
            "LAS_API_ENDPOINT": "https://localhost:1/v1",
        }
        assert stack.status()["ray"]["dashboardUrl"] == "http://localhost:8265"

    assert not is_alive(stack.process.pid)
    assert heard == ["starting Postgres", "ready https://localhost:1"]


def test_it_is_gone_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), local_stack(tmp_path / "data") as stack:
        _ = 1 / 0

    assert not is_alive(stack.process.pid)


def test_settings_of_another_stack_are_not_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEMILL_DATABASE_URL", "postgresql://somebody/elses")
    monkeypatch.setenv("PAGEMILL_LOG_LEVEL", "DEBUG")

    with local_stack(tmp_path / "data", settings={"PAGEMILL_LOG_LEVEL": "ERROR"}) as stack:
        seen = psutil.Process(stack.process.pid).environ()

    assert {name: value for name, value in seen.items() if name.startswith("PAGEMILL_")} == {
        "PAGEMILL_LOG_LEVEL": "ERROR"
    }


def test_a_stack_that_ends_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(StackFailed, match="Postgres does not start"),
        local_stack(tmp_path / "data", settings={"STAND_IN_FAILS": "1"}),
    ):
        pytest.fail("it did not start")
