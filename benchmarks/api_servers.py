"""Servers of the API benchmark: Postgres with a million documents, the API, and the reference."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from db.administration import create_database
from db.migrate import migrate
from db.pool import connect
from pagemill.api.server import APPLICATION, SERVER_OPTIONS
from pagemill.settings import to_environment
from pagemill.stack.bootstrap import create_first_organization
from pagemill.stack.directory import Credentials, DataDirectory
from pagemill.stack.postgres import EmbeddedPostgres, free_port
from pagemill.stack.stack_configuration import StackConfiguration

DATABASE = "benchmark"
START_SECONDS = 60.0
API = APPLICATION
UNLIMITED = {"PAGEMILL_REQUEST_RATE": "0", "PAGEMILL_TOKEN_RATE": "0"}
"""Settings without the limits that are there to keep what is measured here from happening."""
REFERENCE = "benchmarks.reference_api:create_app"
TURNS = "benchmarks.turns_api:create_app"
CREDENTIALS = Credentials(
    organization_id="las:organization:benchmark",
    app_client_id="las:app-client:benchmark",
    client_id="benchmark",
    client_secret="benchmark",  # noqa: S106 - of a database that ends with the benchmark
)
GROUND_TRUTH = [
    {"label": "total", "value": "128.50"},
    {"label": "currency", "value": "NOK"},
    {"label": "due_date", "value": "2024-12-01"},
]
PREDICTIONS = [
    {
        "label": f"field_{number}",
        "value": "128.50",
        "rawValue": "128,50",
        "confidence": 0.98,
        "page": 0,
        "location": [0.61, 0.82, 0.7, 0.84],
        "source": "model",
    }
    for number in range(10)
]


@dataclass(frozen=True, slots=True)
class Server:
    """One granian server that answers."""

    port: int
    process: subprocess.Popen[bytes]
    metrics_port: int = 0

    def memory(self) -> int:
        """Return the resident bytes of the server and its workers."""
        return sum(one.memory_info().rss for one in self._processes())

    def cpu_seconds(self) -> float:
        """Return the CPU seconds used so far, which do not depend on the load of the machine."""
        times = [one.cpu_times() for one in self._processes()]
        return float(sum(one.user + one.system for one in times))

    def _processes(self) -> list[psutil.Process]:
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]


@dataclass(frozen=True, slots=True)
class World:
    """All servers that are measured."""

    api: Server
    reference: Server
    token: str
    documents: int
    start: Callable[[bool], AbstractContextManager[Server]]
    """Start a server of two APIs that answer in turns: one with metrics, if asked for, and one without."""

    def document_path(self, number: int) -> str:
        """Return the path of the document."""
        return f"/v1/documents/{document_id(number)}"

    def prediction_path(self, number: int) -> str:
        """Return the path of the prediction."""
        return f"/v1/predictions/las:prediction:{number:032x}"


def document_id(number: int) -> str:
    """Return the id of a document by its number."""
    return f"las:document:{number:032x}"


@contextmanager
def world(documents: int, predictions: int) -> Iterator[World]:
    """Run Postgres on the first half of the cores and the servers on the second: they do not compete."""
    first, second = halves(os.sched_getaffinity(0))
    with ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pagemill-benchmark-")))
        path.chmod(0o711)
        directory = DataDirectory(path)
        directory.prepare()
        os.sched_setaffinity(0, first)
        postgres = EmbeddedPostgres(directory.postgres)
        stack.callback(postgres.stop)
        postgres.start()
        asyncio.run(create_database(postgres.url("postgres"), DATABASE))
        migrate(postgres.url(DATABASE))
        asyncio.run(_fill(postgres.url(DATABASE), documents, predictions))
        settings = StackConfiguration(directory, UNLIMITED, port=0).settings(postgres.url(DATABASE), None)

        def start(application: str, metrics_port: int) -> AbstractContextManager[Server]:
            own = msgspec.structs.replace(settings, metrics_port=metrics_port)
            return server(application, os.environ | to_environment(own), second, path / f"{free_port()}.log")

        api, reference = (stack.enter_context(start(application, 0)) for application in (API, REFERENCE))
        yield World(
            api,
            reference,
            access_token(api.port),
            documents,
            lambda counts: start(TURNS, free_port() if counts else 0),
        )


def halves(cores: set[int]) -> tuple[set[int], set[int]]:
    """Return the cores in two parts; both are the same when there is one core."""
    ordered = sorted(cores)
    middle = len(ordered) // 2
    return set(ordered[:middle] or ordered), set(ordered[middle:])


@contextmanager
def server(application: str, environment: Mapping[str, str], cores: set[int], log: Path) -> Iterator[Server]:
    """Start one worker with the options that ``pagemill up`` uses, without TLS."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "granian", *SERVER_OPTIONS, "--host=127.0.0.1"),
        *(f"--port={port}", "--workers-kill-timeout=5", application),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdout=output,
            stderr=output,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
    try:
        _wait(port, process, log)
        yield Server(port, process, int(environment.get("PAGEMILL_METRICS_PORT", 0)))
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server does not answer:\n{log.read_text()}") from None
            time.sleep(0.1)


def access_token(port: int) -> str:
    """Return an access token of the benchmark's app client."""
    credentials = base64.b64encode(f"{CREDENTIALS.client_id}:{CREDENTIALS.client_secret}".encode()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/token?grant_type=client_credentials",
        method="POST",
        headers={
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(msgspec.json.decode(answer.read())["access_token"])


async def _fill(database_url: str, documents: int, predictions: int) -> None:
    connection = await connect(database_url)
    try:
        async with connection.transaction():
            await create_first_organization(connection, CREDENTIALS)
            await connection.execute(
                """
                INSERT INTO document (
                    organization_id, id, name, metadata, ground_truth, created_time, created_by
                )
                SELECT $1, 'las:document:' || lpad(to_hex(number), 32, '0'), 'document ' || number, $3, $4,
                    now() + number * interval '1 ms', $2
                FROM generate_series(1, $5::integer) AS number
                """,
                CREDENTIALS.organization_id,
                CREDENTIALS.app_client_id,
                {"source": "benchmark"},
                GROUND_TRUTH,
                documents,
            )
            await connection.execute(
                """
                INSERT INTO prediction (
                    organization_id, id, document_id, model_id, model_reference, training_id, status,
                    predictions, preprocess_config, postprocess_config, inference_time, created_by
                )
                SELECT $1, 'las:prediction:' || lpad(to_hex(number), 32, '0'), 'las:document:1',
                    'las:model:1', 'las:model:1', 'las:model-training:1', 'succeeded', $3, '{"maxPages": 1}',
                    '{"strategy": "BEST_FIRST"}', 0.5, $2
                FROM generate_series(1, $4::integer) AS number
                """,
                CREDENTIALS.organization_id,
                CREDENTIALS.app_client_id,
                PREDICTIONS,
                predictions,
            )
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
