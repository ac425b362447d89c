"""Options that several commands share, and access to the stack for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from db.statements import Connection
    from pagemill.objects import ObjectStore
    from pagemill.settings import Settings
    from pagemill.stack.directory import DataDirectory

T = TypeVar("T")

data_directory_option = click.option(
    "--data-dir",
    default=".pagemill",
    show_default=True,
    envvar="PAGEMILL_DATA_DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the stack: database, objects, certificates, credentials, logs.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def open_directory(path: Path) -> DataDirectory:
    """Return the data directory at a path."""
    from pagemill.stack.directory import DataDirectory

    return DataDirectory(path)


def with_database(data_dir: Path, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Run ``work`` on a connection to the stack's database. Raises StackError when there is none."""
    from pagemill.commands.stack_access import database_of, operate

    return asyncio.run(operate(database_of(open_directory(data_dir), os.environ), work))


def with_stores(data_dir: Path, work: Callable[[Connection, ObjectStore, Settings], Awaitable[T]]) -> T:
    """Run ``work`` on the stack's database and objects. Raises StackError when there are none."""
    from pagemill.commands.stack_access import operate, settings_of
    from pagemill.objects import open_objects

    settings = settings_of(open_directory(data_dir), os.environ)

    async def run(connection: Connection) -> T:
        objects = open_objects(settings)
        try:
            return await work(connection, objects, settings)
        finally:
            await objects.close()

    return asyncio.run(operate(settings.database_url, run))


@contextlib.asynccontextmanager
async def always(connection: Connection) -> AsyncIterator[Connection]:
    """Yield the connection of a command, for functions that acquire one from a pool."""
    yield connection


def print_json(content: object) -> None:
    """Print a value as indented JSON."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(content)).decode())


def age_since(time: datetime) -> str:
    """Return how long ago a time is, in its largest unit."""
    seconds = int((datetime.now(UTC) - time).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"


def printable(text: str) -> str:
    """Return a text of others without what a terminal would obey: line breaks and control characters."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
