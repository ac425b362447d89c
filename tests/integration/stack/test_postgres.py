"""The embedded server keeps what was committed, whatever ends it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from pagemill.stack.postgres import EmbeddedPostgres, PostgresError
from tests.support.directories import temporary_directory
from tests.support.processes import wait_until_gone


@pytest.fixture
def directory() -> Iterator[Path]:
    with temporary_directory("pagemill-") as directory:
        yield directory / "postgres"


@pytest.fixture
def server(directory: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(directory)
    server.start()
    yield server
    server.stop()


def query(url: str, sql: str) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_data_survive_a_crash(server: EmbeddedPostgres) -> None:
    query(server.url(), "CREATE TABLE kept AS SELECT 42 AS answer")
    server.kill()
    assert not server.running()
    server.start()
    assert query(server.url(), "SELECT answer FROM kept") == 42


def test_a_server_that_lost_its_supervisor_is_replaced(server: EmbeddedPostgres, directory: Path) -> None:
    query(server.url(), "CREATE TABLE kept AS SELECT 42 AS answer")
    abandoned = server.process_id
    successor = EmbeddedPostgres(directory)
    successor.start()
    try:
        assert successor.process_id != abandoned
        assert query(successor.url(), "SELECT answer FROM kept") == 42
    finally:
        successor.stop()


def test_data_below_a_closed_directory_are_served_too(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "postgres")
    server.start()
    try:
        assert query(server.url(), "SELECT 42") == 42
        assert EmbeddedPostgres(closed / "postgres").data == server.data
    finally:
        server.stop()
        shutil.rmtree(server.directory)


def test_a_wrong_password_is_refused(server: EmbeddedPostgres) -> None:
    url = server.url().replace(server.url().split(":")[2].split("@")[0], "wrong")
    with pytest.raises(asyncpg.InvalidPasswordError):
        query(url, "SELECT 1")


def test_it_listens_on_this_machine_only(server: EmbeddedPostgres) -> None:
    assert query(server.url(), "SHOW listen_addresses") == "127.0.0.1"


def test_stopping_leaves_no_process(server: EmbeddedPostgres) -> None:
    process_id = server.process_id
    server.stop()
    wait_until_gone(process_id)


def test_data_that_cannot_be_used_are_reported(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    server.start()
    server.stop()
    (server.data / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(PostgresError, match="did not start"):
        server.start()


def test_a_password_that_is_known_stays_when_the_data_are_made_anew(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    server.start()
    url = server.url()
    server.stop()
    shutil.rmtree(server.data)
    server.start()
    try:
        assert server.url() == url
        assert query(url, "SELECT 42") == 42
    finally:
        server.stop()
