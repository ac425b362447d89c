"""A backup is restored into another place, and all that was there is served again."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import re
import shutil
import ssl
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from click.testing import CliRunner, Result

from db.administration import create_database, drop_database
from db.pool import create_pool
from db.tables import ALL_TABLES
from pagemill.cli import main
from pagemill.ids import DatasetId, TrainingId, new_id
from pagemill.objects import open_objects
from pagemill.objects.keys import organization_prefix
from pagemill.secret_box import new_secret_key
from pagemill.settings import load_settings
from pagemill.stack.backup import AT_ONCE, CONTENTS, DUMP, without_password
from pagemill.stack.directory import DataDirectory
from pagemill.stack.postgres import EmbeddedPostgres, free_port
from pagemill.stack.state_file import StackState
from tests.support.directories import temporary_directory
from tests.support.full_organization import add_full_organization
from tests.support.labelled import Labelled, store_prediction
from tests.support.processes import kill
from tests.support.s3 import BUCKET, running_s3, s3_environment
from tests.support.stack import RunningStack, pagemill, running_stack, stack_processes
from tests.unit.extraction.documents import text_pdf

KEYS = {"PAGEMILL_SECRET_KEYS": new_secret_key("1")}


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for data, backups and keys."""
    with temporary_directory("pagemill-") as directory:
        yield directory
        for name in ("data", "restored"):
            kill(stack_processes(directory / name))


@contextmanager
def client_of(stack: RunningStack) -> Iterator[httpx.Client]:
    """Calls with a token, fetched as the official clients do."""
    environment = stack.environment()
    trust = ssl.create_default_context(cafile=environment["CURL_CA_BUNDLE"])
    with httpx.Client(base_url=environment["LAS_API_ENDPOINT"], verify=trust, timeout=30) as client:
        answer = client.post(
            f"https://{environment['LAS_AUTH_ENDPOINT']}/token?grant_type=client_credentials",
            auth=(environment["LAS_CLIENT_ID"], environment["LAS_CLIENT_SECRET"]),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
        yield client


def created(client: httpx.Client, path: str, **body: object) -> dict[str, Any]:
    answer: dict[str, Any] = client.post(path, json=body).raise_for_status().json()
    return answer


def fill(stack: RunningStack, client: httpx.Client) -> list[str]:
    """Add what an organization has; return the paths that show it."""
    document = created(client, "/documents", content=base64.b64encode(text_pdf()).decode())
    created(client, "/secrets", data={"password": "kept"})
    model = created(client, "/models", fieldConfig={"total": {"type": "amount"}})
    labelled = Labelled(model["organizationId"], model["modelId"], new_id(DatasetId))
    prediction_id = asyncio.run(predict(database_of(stack), labelled, document["documentId"]))
    return [
        f"/documents/{document['documentId']}",
        f"/predictions/{prediction_id}",
        "/models",
        f"/organizations/{model['organizationId']}",
        "/secrets",
    ]


def database_of(stack: RunningStack) -> str:
    state = DataDirectory(stack.data_directory).read(stack.data_directory / "state.json", StackState)
    assert state is not None
    return state.settings["PAGEMILL_DATABASE_URL"]


async def predict(database_url: str, labelled: Labelled, document_id: str) -> str:
    """A prediction that has succeeded, and its page on the month's counter."""
    pool = await create_pool(database_url, size=1)
    prediction_id = await store_prediction(pool, labelled, new_id(TrainingId), document_id)
    found = [{"label": "total", "value": "12.00", "confidence": 0.9}]
    await pool.execute(
        "UPDATE prediction SET status = 'succeeded', predictions = $2 WHERE id = $1", prediction_id, found
    )
    await pool.execute(
        "INSERT INTO usage_counter (organization_id, month, meter, used) VALUES ($1, $2, 'pages', 7)",
        labelled.organization_id,
        f"{datetime.datetime.now(datetime.UTC):%Y-%m}",
    )
    await pool.close()
    return prediction_id


def test_a_restored_stack_serves_what_there_was(place: Path) -> None:
    port = free_port()
    with running_stack(place / "data", port, "--without-ray") as stack, client_of(stack) as client:
        paths = fill(stack, client)
        before = [client.get(path).raise_for_status().json() for path in paths]
        told = run("backup", str(place / "backup"), "--keys", str(place / "keys"), of=place / "data")

    assert (told.returncode, told.stderr) == (0, "")
    assert re.fullmatch(
        r"keys: secret-keys, token-key, .+\ndatabase: [\d.]+ MB, of release .+\nobjects: 1, [\d.]+ MB\n",
        told.stdout,
    )
    assert {path.stat().st_mode & 0o077 for path in (place / "backup", place / "keys")} == {0}
    shutil.rmtree(place / "data")
    restored = run("restore", str(place / "backup"), "--keys", str(place / "keys"), of=place / "restored")
    assert (restored.returncode, restored.stderr) == (0, "")

    with running_stack(place / "restored", port, "--without-ray") as stack, client_of(stack) as client:
        assert [client.get(path).raise_for_status().json() for path in paths] == before
        assert before[3]["monthlyNumberOfPagePredictionsUsed"] == 7
        swept = run("objects", "sweep", "--json", of=place / "restored")
        assert [(one["objects"], one["missing"]) for one in json.loads(swept.stdout)] == [(1, 0)]
        keys = place / "restored" / "secret-keys"
        keys.write_text(f"{new_secret_key('2')},{keys.read_text()}")
        rotated = run("secrets", "rotate", of=place / "restored")
        # That of the organization, and the key that signs tokens.
        assert rotated.stdout == "2 secrets were encrypted with the key 2\n"
        again = run("restore", str(place / "backup"), of=place / "restored")
        assert (again.returncode, "already runs" in again.stderr) == (1, True)


def run(*command: str, of: Path) -> subprocess.CompletedProcess[str]:
    return pagemill(*command, "--data-dir", str(of))


@pytest.fixture
async def empty_database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A database without tables."""
    name = f"test_{uuid.uuid4().hex}"
    await create_database(postgres.url("postgres"), name)
    yield postgres.url(name)
    await drop_database(postgres.url("postgres"), name)


@pytest.fixture
def bucket() -> Iterator[dict[str, str]]:
    """The settings of a bucket behind the real S3 protocol."""
    with running_s3(BUCKET) as endpoint:
        yield s3_environment(endpoint, "some/prefix")


async def invoke(*command: str, settings: Mapping[str, str]) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, command, env={**KEYS, **settings})


async def rows_of(database_url: str) -> dict[str, list[str]]:
    """All rows of all tables, as text."""
    connection = await asyncpg.connect(database_url)
    names = [table._meta.tablename for table in ALL_TABLES]
    found = {name: await connection.fetch(f"SELECT one::text FROM {name} AS one") for name in names}
    await connection.close()
    return {name: sorted(row["one"] for row in rows) for name, rows in found.items()}


async def stored(settings: Mapping[str, str]) -> dict[str, bytes]:
    """All objects by their keys."""
    objects = open_objects(load_settings(dict(settings)))
    found = {key: await objects.get(key) async for key in objects.list("organizations/")}
    await objects.close()
    return found


async def test_every_row_and_object_comes_back(
    pool: asyncpg.Pool, database_url: str, empty_database: str, bucket: dict[str, str], tmp_path: Path
) -> None:
    """From a bucket into a directory, as from one place to another."""
    async with pool.acquire() as connection:
        organization = await add_full_organization(connection, "kept", pages_used=30)
    here = {"PAGEMILL_DATABASE_URL": database_url, **bucket}
    objects = open_objects(load_settings(here))
    prefix = organization_prefix(organization.organization_id)
    for number in range(AT_ONCE + 3):
        await objects.put(f"{prefix}documents/{number}/content/a", b"%d" % number)
    await objects.close()
    data, source = tmp_path / "data", str(tmp_path / "backup")

    done = await invoke("backup", source, settings=here)
    assert done.exit_code == 0, done.output
    there = {"PAGEMILL_DATABASE_URL": empty_database, "PAGEMILL_DATA_DIR": str(data)}
    done = await invoke("restore", source, settings=there)
    assert done.exit_code == 0, done.output

    rows = await rows_of(database_url)
    assert await rows_of(empty_database) == rows
    assert sum(map(bool, rows.values())) > 20
    kept = await stored(here)
    assert len(kept) == AT_ONCE + 3
    assert await stored({**there, "PAGEMILL_OBJECTS_URL": (data / "objects").as_uri()}) == kept
    refused = await invoke("restore", source, settings=there)
    assert (refused.exit_code, "the database is not empty" in refused.stderr) == (1, True)
    refused = await invoke("backup", source, settings=here)
    assert (refused.exit_code, "is not empty" in refused.stderr) == (1, True)


async def test_what_was_broken_off_or_damaged_is_not_restored(
    database_url: str, empty_database: str, tmp_path: Path
) -> None:
    here = {"PAGEMILL_DATABASE_URL": database_url, "PAGEMILL_OBJECTS_URL": (tmp_path / "none").as_uri()}
    there = {"PAGEMILL_DATABASE_URL": empty_database, "PAGEMILL_DATA_DIR": str(tmp_path / "data")}
    source = tmp_path / "backup"
    assert (await invoke("backup", str(source), "--without-objects", settings=here)).exit_code == 0
    whole = (source / DUMP).read_bytes()

    (source / DUMP).write_bytes(whole[:-1])
    done = await invoke("restore", str(source), settings=there)
    assert (done.exit_code, "is damaged" in done.stderr) == (1, True)
    (source / DUMP).write_bytes(whole[:-1] + b"x" + whole[-1:])
    assert (await invoke("restore", str(source), settings=there)).exit_code == 1
    (source / DUMP).write_bytes(whole)
    contents = (source / CONTENTS).read_bytes()
    (source / CONTENTS).unlink()
    done = await invoke("restore", str(source), settings=there)
    assert (done.exit_code, "holds no backup that was ended" in done.stderr) == (1, True)
    (source / CONTENTS).write_bytes(contents)
    done = await invoke("restore", str(source), settings=there)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "objects: not in the backup")


async def test_keys_are_asked_for_and_kept_apart(
    database_url: str, empty_database: str, tmp_path: Path
) -> None:
    here = {"PAGEMILL_DATABASE_URL": database_url, "PAGEMILL_OBJECTS_URL": (tmp_path / "none").as_uri()}
    inside = await invoke("backup", str(tmp_path), "--keys", str(tmp_path / "keys"), settings=here)
    assert (inside.exit_code, "kept apart" in inside.stderr) == (2, True)
    done = await invoke("backup", str(tmp_path / "backup"), settings=here)
    assert done.exit_code == 0, done.output
    there = {
        "PAGEMILL_DATABASE_URL": empty_database,
        "PAGEMILL_DATA_DIR": str(tmp_path / "data"),
        "PAGEMILL_SECRET_KEYS": "",
    }
    refused = await invoke("restore", str(tmp_path / "backup"), settings=there)
    assert (refused.exit_code, "there are no keys" in refused.stderr) == (1, True)

    for name, key in (("keys", "1"), ("others", "2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "secret-keys").write_text(new_secret_key(key))
    (tmp_path / "data" / "secret-keys").write_bytes((tmp_path / "keys" / "secret-keys").read_bytes())
    restore = ["restore", str(tmp_path / "backup"), "--keys"]
    refused = await invoke(*restore, str(tmp_path / "others"), settings=there)
    assert (refused.exit_code, "has other keys already: secret-keys" in refused.stderr) == (1, True)
    # A restore that was broken off is repeated as it was.
    done = await invoke(*restore, str(tmp_path / "keys"), settings=there)
    assert done.exit_code == 0, done.output


def test_no_password_stands_on_a_command_line() -> None:
    url, password = without_password("postgresql://me:a%40b@host:5432/name?sslmode=require")
    assert (url, password) == ("postgresql://me@host:5432/name?sslmode=require", "a@b")
    assert without_password("postgresql://me@host/name") == ("postgresql://me@host/name", None)
