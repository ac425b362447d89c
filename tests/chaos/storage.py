"""An S3 server that can be killed and comes back with all its objects."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3

from pagemill.stack.postgres import free_port
from pagemill.stack.probes import port_answers
from tests.support.processes import eventually

BUCKET = "pages"
START_SECONDS = 60.0
ROOT = Path(__file__).parents[2]


class Storage:
    """moto keeps its objects in memory, so what is killed is the relay through which everybody reaches it."""

    def __init__(self) -> None:
        self._server_port, self._port = free_port(), free_port()
        self._server = _program("moto.server", "-H", "127.0.0.1", "-p", str(self._server_port))
        self._relay: subprocess.Popen[bytes] | None = None
        eventually(lambda: port_answers(self._server_port), bool, seconds=START_SECONDS)
        self.start()
        boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="a",
            aws_secret_access_key="b",
            region_name="us-east-1",
        ).create_bucket(Bucket=BUCKET)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def settings(self) -> dict[str, str]:
        """What points a stack at it."""
        return {
            "PAGEMILL_OBJECTS_URL": f"s3://{BUCKET}/chaos",
            "PAGEMILL_S3_ENDPOINT_URL": self.endpoint,
            "PAGEMILL_S3_ACCESS_KEY_ID": "a",
            "PAGEMILL_S3_SECRET_ACCESS_KEY": "b",
        }

    def start(self) -> None:
        """Be reached again."""
        self._relay = _program("tests.support.relay", str(self._port), str(self._server_port))
        eventually(lambda: port_answers(self._port), bool, seconds=START_SECONDS)

    def kill(self) -> int:
        """Break off all connections and refuse others; the id of what was killed."""
        assert self._relay is not None
        self._relay.kill()
        self._relay.wait()
        return self._relay.pid

    def stop(self) -> None:
        for process in (self._relay, self._server):
            if process is not None:
                process.kill()
                process.wait()


@contextmanager
def running_storage() -> Iterator[Storage]:
    storage = Storage()
    try:
        yield storage
    finally:
        storage.stop()


def _program(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
