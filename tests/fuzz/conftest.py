"""An API process of its own, with callers of every kind; the organization of each has one of everything."""

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
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from pagemill.api.server import APPLICATION, SERVER_OPTIONS
from tests.conftest import TEMPLATE

if TYPE_CHECKING:
    from db.pool import Pool
    from db.statements import Connection
    from pagemill.stack.postgres import EmbeddedPostgres
    from tests.support.front_door import PublicApp

START_SECONDS = 240.0
GATE = "gate"
"""Client id of the app through which users sign in. It is nobody's whom a test calls as: none deletes it."""


WITHOUT_ROLES = "app-client"
CALLERS = (
    WITHOUT_ROLES,
    *(f"{kind} {role}" for kind in ("user", "app-client") for role in ("admin", "member", "validator")),
)
"""Who calls: a kind of principal, and its role."""


@dataclass(frozen=True, slots=True)
class Served:
    """Where the API answers, and tokens of callers for it."""

    url: str
    tokens: Mapping[str, str]
    log: Path

    @property
    def token(self) -> str:
        """The token of an app client that may do everything."""
        return self.tokens[WITHOUT_ROLES]


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
        sign_in_app_clients=GATE,
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
        yield Served(url, asyncio.run(seeded_tokens(settings)), log)
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


async def seeded_tokens(settings: object) -> dict[str, str]:
    """A token of each caller, by signing in; all are of organizations without limits."""
    from db.pool import create_pool
    from pagemill.objects import open_objects
    from pagemill.settings import Settings
    from pagemill.stack.bootstrap import seed_roles
    from tests.support.front_door import token_of_client
    from tests.support.tenants import create_tenant

    assert isinstance(settings, Settings)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"{}"

    objects = open_objects(settings)
    pool = await create_pool(settings.database_url, size=2)
    try:
        async with pool.acquire() as connection, httpx.AsyncClient(base_url=settings.public_url) as http:
            await seed_roles(connection)
            tenant = await create_tenant(connection)
            gate = await _gate(connection)
            tokens = {WITHOUT_ROLES: await token_of_client(http, tenant.client_id, tenant.client_secret)}
            tokens |= {name: await _token(connection, http, gate, name) for name in CALLERS[1:]}
            await _seed_each(pool, connection)
        await objects.put("none", pieces())
    finally:
        await objects.close()
        await pool.close()
    return tokens


async def _gate(connection: Connection) -> PublicApp:
    """An app through which people sign in to any of their organizations."""
    from tests.support.front_door import PublicApp, add_public_app
    from tests.support.tenants import create_tenant

    tenant = await create_tenant(connection)
    app = await add_public_app(connection, tenant.organization_id)
    await connection.execute("UPDATE app_client SET client_id = $2 WHERE id = $1", app.app_client_id, GATE)
    return PublicApp(app.organization_id, app.app_client_id, GATE)


async def _token(connection: Connection, http: httpx.AsyncClient, gate: PublicApp, name: str) -> str:
    """The token of a new caller in an organization of its own."""
    from tests.support.front_door import browser_session, sign_in, token_of_client
    from tests.support.people import add_user
    from tests.support.tenants import create_tenant

    kind, role = name.split(" ")
    role_ids = [f"las:role:{role}"]
    tenant = await create_tenant(connection)
    if kind == "user":
        person = await add_user(connection, tenant.organization_id, role_ids=role_ids)  # type: ignore[arg-type]
        cookie = await browser_session(connection, person.profile_id)
        return str((await sign_in(http, gate, cookie))["access_token"])
    await connection.execute(
        "UPDATE app_client SET role_ids = $2 WHERE id = $1", tenant.app_client_id, role_ids
    )
    return await token_of_client(http, tenant.client_id, tenant.client_secret)


async def _seed_each(pool: Pool, connection: Connection) -> None:
    """Give every organization one of everything."""
    from tests.support.everything import seed_everything
    from tests.support.tenants import Tenant

    for row in await connection.fetch(
        """
        SELECT DISTINCT ON (app_client.organization_id) organization.plan_id, app_client.*
        FROM app_client JOIN organization ON organization.id = app_client.organization_id
        WHERE secret_hash IS NOT NULL
        """
    ):
        tenant = Tenant(row["organization_id"], row["plan_id"], row["id"], row["client_id"], "")
        await seed_everything(pool, tenant)
