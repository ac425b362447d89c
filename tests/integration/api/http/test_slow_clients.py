"""Clients that send slowly, or nothing, cost nobody else an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from pagemill.api.server import APPLICATION, SERVER_OPTIONS
from pagemill.secret_box import new_secret_key
from pagemill.settings import Settings, to_environment
from tests.support.processes import PATIENCE_SECONDS, eventually, kill

CONNECTIONS = 1024
OF_ONE_ADDRESS = 400

pytestmark = pytest.mark.stack


class Server(NamedTuple):
    """A server with short deadlines."""

    port: int
    log: Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """/health and the refusal of a late body need no database."""
    settings = Settings(
        database_url="postgresql://u:p@127.0.0.1:1/none",
        objects_url=tmp_path.as_uri(),
        token_key="k" * 32,
        secret_keys=new_secret_key("test"),
        address_connections=OF_ONE_ADDRESS,
        request_body_wait=2.0,
        token_rate=0.0,
    )
    command = [
        *(sys.executable, "-m", "granian", *SERVER_OPTIONS, "--host=127.0.0.1", "--port=0"),
        *("--http1-header-read-timeout=4000", APPLICATION),
    ]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | to_environment(settings), stdout=output, stderr=output
        )
    try:
        port = eventually(
            lambda: listening_port(process.pid), lambda port: port > 0, seconds=PATIENCE_SECONDS
        )
        yield Server(port, log)
    finally:
        # It may be about to start another worker.
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        kill(children)


def listening_port(process_id: int) -> int:
    """Return the port at which a server answers that has chosen one; 0 while it does not."""
    process = psutil.Process(process_id)
    for one in [process, *process.children(recursive=True)]:
        for connection in one.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and answers(connection.laddr.port):
                return int(connection.laddr.port)
    return 0


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_slow_clients_are_ended_and_others_are_answered(server: Server) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.slow_clients", str(server.port), str(CONNECTIONS)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["failed"] == 0, done.stderr
    assert outcome["answered"] > 0
    assert outcome["left"] == 0, outcome
    assert sum(outcome["ended"].values()) == CONNECTIONS
    # Those of the bodies that were not shut for being too many are told why; nobody gets another answer.
    assert set(outcome["statuses"]) == {"408"}
    log = server.log.read_text()
    assert "connections from 127.0.0.1 were shut" in log
    assert [line for line in log.splitlines() if '"exception"' in line] == []
