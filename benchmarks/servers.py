"""Servers of the benchmarks: a Postgres of their own, as durable as the platform's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import asyncpg

from db.administration import create_database
from db.migrate import migrate
from pagemill.stack.postgres import EmbeddedPostgres

DATABASE = "benchmark"
OTHER_DATABASE = "others"


@contextlib.contextmanager
def durable_postgres() -> Iterator[EmbeddedPostgres]:
    """Run Postgres with the platform's settings, a migrated database and an empty one."""
    directory = Path(tempfile.mkdtemp(prefix="pagemill-benchmark-"))
    directory.chmod(0o711)
    server = EmbeddedPostgres(directory)
    server.start()
    try:
        for name in (DATABASE, OTHER_DATABASE):
            asyncio.run(create_database(server.url("postgres"), name))
        migrate(server.url(DATABASE))
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.directory, ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)


async def durability(pool: asyncpg.Pool) -> dict[str, str]:
    """Return the settings that make a commit durable, as the server reports them."""
    return {name: await pool.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")}


def write_figures(figures: Mapping[str, object], out: Path) -> None:
    """Write the figures to a file and print them."""
    text = json.dumps(figures, indent=2)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text + "\n")
    print(text)
