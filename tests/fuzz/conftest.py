"""An API process of its own, with an organization that has one of everything."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from pagemill.api.server import APPLICATION, SERVER_OPTIONS
from tests.conftest import TEMPLATE

if TYPE_CHECKING:
    from pagemill.stack.postgres import EmbeddedPostgres

START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Served:
    """Where the API answers, and a token for it."""

    url: str
    token: str
    log: Path


@pytest.fixture(scope="package")
def served(postgres: EmbeddedPostgres) -> Iterator[Served]:
    """The API as it is run, behind granian."""
    from db.administration import create_database
    from pagemill.secret_box import new_secret_key
    from pagemill.settings import Settings, to_environment

    name = f"fuzz_{uuid.uuid4().hex}"
    asyncio.run(create_database(postgres.url("postgres"), name, template=TEMPLATE))
    directory = Path(tempfile.mkdtemp(prefix="pagemill-fuzz-"))
    (directory / "objects").mkdir()
    port = free_port()
    settings = Settings(
        database_url=postgres.url(name),
        objects_url=(directory / "objects").as_uri(),
        token_key=uuid.uuid4().hex,
        secret_keys=new_secret_key("fuzz"),
        public_url=f"http://localhost:{port}",
        prediction_wait=0.5,
        token_lifetime=24 * 3600,
        request_rate=0.0,
        token_rate=0.0,
    )
    command = [sys.executable, "-m", "granian", *SERVER_OPTIONS, "--host=127.0.0.1"]
    log = directory / "api.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, f"--port={port}", APPLICATION],
            env=os.environ | to_environment(settings),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://localhost:{port}"
        wait_until_it_answers(url, process, log)
        yield Served(url, asyncio.run(seeded_token(settings)), log)
    finally:
        process.terminate()
        process.wait(timeout=60)
        shutil.rmtree(directory, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the API does not start: {log.read_text()}")


async def seeded_token(settings: object) -> str:
    """A token of an organization without limits that has one of everything."""
    from db.pool import create_pool
    from pagemill.objects import open_objects
    from pagemill.settings import Settings
    from tests.support.everything import seed_everything
    from tests.support.front_door import token_of_client
    from tests.support.tenants import create_tenant

    assert isinstance(settings, Settings)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"{}"

    objects = open_objects(settings)
    pool = await create_pool(settings.database_url, size=2)
    try:
        async with pool.acquire() as connection:
            tenant = await create_tenant(connection)
        await seed_everything(pool, tenant)
        await objects.put("none", pieces())
    finally:
        await objects.close()
        await pool.close()
    async with httpx.AsyncClient(base_url=settings.public_url, timeout=60) as http:
        return await token_of_client(http, tenant.client_id, tenant.client_secret)
