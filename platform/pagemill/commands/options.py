"""What several commands take, and how they reach the stack."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from db.statements import Connection
    from pagemill.stack.directory import DataDirectory

T = TypeVar("T")

data_directory_option = click.option(
    "--data-dir",
    default=".pagemill",
    show_default=True,
    envvar="PAGEMILL_DATA_DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where database, objects, certificates, credentials and logs lie.",
)


def open_directory(path: Path) -> DataDirectory:
    """The data directory that a command was given."""
    from pagemill.stack.directory import DataDirectory

    return DataDirectory(path)


def with_database(data_dir: Path, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do ``work`` on a connection to the stack's database. Raises StackError when there is none."""
    from pagemill.stack.operating import database_of, operate

    return asyncio.run(operate(database_of(open_directory(data_dir), os.environ), work))
