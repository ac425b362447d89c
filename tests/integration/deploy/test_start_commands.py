"""Start commands of the containers, run as the images and compose.yaml have them, in a home of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from db.administration import create_database, drop_database
from db.app_clients import find_app_client
from db.pool import connect
from pagemill.stack.postgres import EmbeddedPostgres, free_port
from tests.support.manifests.compose import load, secrets_of
from tests.support.manifests.containers import environment_of, words_of
from tests.support.manifests.documents import DEPLOY
from tests.support.processes import eventually
from tests.support.s3 import running_s3, s3_client

CONTAINERS = DEPLOY / "containers"
PROGRAMS = Path(sys.executable).parent


@pytest.fixture
async def empty_database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A database that was never migrated."""
    name = f"empty_{uuid.uuid4().hex}"
    await create_database(postgres.url("postgres"), name)
    yield postgres.url(name)
    await drop_database(postgres.url("postgres"), name)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Directory of the files that deploy/make-secrets makes."""
    directory = tmp_path / "secrets"
    subprocess.run([DEPLOY / "make-secrets", directory], check=True, capture_output=True)
    return directory


@pytest.fixture
def s3_endpoint() -> Iterator[str]:
    with running_s3() as endpoint:
        yield endpoint


class Container:
    """A service of compose.yaml without a container: its command and environment, with paths of a test."""

    def __init__(self, name: str, image: str, secrets: Path, home: Path, changed: Mapping[str, str]) -> None:
        service = load()["services"][name]
        image_file = CONTAINERS / f"Containerfile.{image}"
        self._paths = {where: str(secrets / source) for source, where in secrets_of(service).items()}
        self.command = [
            str(CONTAINERS / words_of(image_file, "ENTRYPOINT")[0]),
            *map(self._here, service.get("command") or words_of(image_file, "CMD")),
        ]
        self.environment = {
            **{key: self._here(str(value)) for key, value in service["environment"].items()},
            **environment_of(image_file),
            "HOME": str(home),
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            **changed,
        }

    def _here(self, word: str) -> str:
        for mounted, path in self._paths.items():
            word = word.replace(mounted, path)
        return word


def written(directory: Path, name: str, content: str) -> str:
    """The path of a secret with another value."""
    path = directory / f"test-{name}"
    path.write_text(content)
    return str(path)


async def test_the_migration_prepares_empty_stores(
    empty_database_url: str, s3_endpoint: str, secrets: Path, tmp_path: Path
) -> None:
    changed = {
        "PAGEMILL_DATABASE_URL_FILE": written(secrets, "database-url", empty_database_url),
        "PAGEMILL_DATABASE_OWNER_URL_FILE": written(secrets, "database-owner-url", empty_database_url),
        "PAGEMILL_S3_ENDPOINT_URL": s3_endpoint,
    }
    migrate = Container("migrate", "api", secrets, tmp_path, changed)
    # It is run before each release.
    for _ in range(2):
        await asyncio.to_thread(subprocess.run, migrate.command, env=migrate.environment, check=True)

    client = json.loads((secrets / "credentials.json").read_text())
    connection = await connect(empty_database_url, application_name="test")
    try:
        found = await find_app_client(connection, client_id=client["client_id"])
    finally:
        await connection.close()
    assert found is not None
    assert found.organization_id == client["organization_id"]
    assert buckets(s3_endpoint) == ["pagemill"]


def buckets(endpoint: str) -> list[str]:
    return [bucket["Name"] for bucket in s3_client(endpoint).list_buckets()["Buckets"]]


async def test_the_api_answers_until_it_is_told_to_end(
    database_url: str, secrets: Path, tmp_path: Path
) -> None:
    changed = {"PAGEMILL_DATABASE_URL_FILE": written(secrets, "database-url", database_url)}
    api = Container("api", "api", secrets, tmp_path, changed)

    assert await asyncio.to_thread(status_after_answering, api, str(free_port())) == 0


def status_after_answering(api: Container, port: str) -> int:
    """Start it on another port, wait until its own health check says so, and have it end."""
    [program, url] = words_of(CONTAINERS / "Containerfile.api", "HEALTHCHECK")
    check = [str(CONTAINERS / program), url.replace("8443", port)]
    process = subprocess.Popen([word.replace("8443", port) for word in api.command], env=api.environment)
    try:
        eventually(
            lambda: subprocess.run(check, env=api.environment, capture_output=True, check=False).returncode,
            lambda status: status == 0,
            seconds=60,
        )
        process.send_signal(signal.SIGTERM)
        return process.wait(60)
    finally:
        process.kill()
        process.wait()
