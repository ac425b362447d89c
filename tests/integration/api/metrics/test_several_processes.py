"""Several processes of a server have one page, and another one answers when the one that did is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pagemill.secret_box import new_secret_key
from pagemill.settings import Settings, to_environment
from pagemill.stack.postgres import free_port
from tests.support.processes import eventually, kill

PROCESSES, REQUESTS = 2, 40
SECONDS = 60.0

pytestmark = pytest.mark.stack


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings without a database: /health does not need one."""
    return Settings(
        database_url=f"postgresql://u:p@127.0.0.1:{free_port()}/none",
        objects_url=tmp_path.as_uri(),
        token_key="k" * 32,
        secret_keys=new_secret_key("test"),
        metrics_port=free_port(),
        metrics_directory=str(tmp_path / "metrics"),
    )


@pytest.fixture
def port(settings: Settings, tmp_path: Path) -> Iterator[int]:
    """The port of a server with two processes."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "granian", "--interface=asgi", "--factory", "--host=127.0.0.1"),
        *(f"--port={port}", f"--workers={PROCESSES}", "--no-ws", "--respawn-failed-workers"),
        "pagemill.api.app:create_app",
    ]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, env=os.environ | to_environment(settings), stdout=log, stderr=log)
    yield port
    # It may be about to start another worker.
    children = psutil.Process(server.pid).children(recursive=True)
    server.kill()
    server.wait()
    kill(children)


def health(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def counted(settings: Settings) -> float:
    """Return the number of requests on the page; 0 while nobody answers."""
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{settings.metrics_port}/metrics", timeout=60
        ) as answer:
            page = answer.read().decode()
    except OSError:
        return 0.0
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "pagemill_http_requests_total"
    )


def listeners(settings: Settings) -> list[psutil.Process]:
    """The processes that listen for scrapes."""
    found = {
        connection.pid
        for connection in psutil.net_connections("tcp4")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == settings.metrics_port
    }
    return [psutil.Process(process_id) for process_id in found if process_id]


def test_one_page_has_the_requests_of_all_processes(settings: Settings, port: int) -> None:
    files = Path(settings.metrics_directory)
    asked: list[bool] = []

    def ask() -> bool:
        asked.append(health(port))
        return asked[-1]

    eventually(lambda: ask() and len(list(files.iterdir())), lambda n: n == PROCESSES, seconds=SECONDS)
    assert all([ask() for _ in range(REQUESTS)])
    # Processes count what they have answered twice a second.
    eventually(lambda: counted(settings), lambda n: n == sum(asked), seconds=SECONDS)

    [first] = listeners(settings)
    kill([first])

    # The dead one's requests are still there, and another process answers.
    assert eventually(lambda: counted(settings), bool, seconds=SECONDS) == sum(asked)
    assert [process.pid for process in listeners(settings)] != [first.pid]
