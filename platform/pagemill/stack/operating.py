"""What the operator does to a stack's database, past the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import asyncpg

from db.models import SHARE_MODEL
from db.pool import CONNECTION_ERRORS, connect
from db.statements import Connection
from pagemill.errors import NotFound
from pagemill.settings import load_settings
from pagemill.stack.configuration import DATABASE_URL, SECRET_KEYS
from pagemill.stack.directory import DataDirectory, StackError
from pagemill.stack.state import StackState

T = TypeVar("T")


def database_of(directory: DataDirectory, environ: Mapping[str, str]) -> str:
    """The operator's own database, else that of the stack that runs. Raises StackError when none does."""
    if given := environ.get(DATABASE_URL):
        return given
    state = None if directory.supervisor() is None else directory.read(directory.state, StackState)
    if state is None or not state.settings:
        raise StackError(f"no stack runs in {directory.path}: start it, or set {DATABASE_URL}")
    return load_settings(state.settings).database_url


def secret_keys_of(directory: DataDirectory, environ: Mapping[str, str]) -> str:
    """The operator's own keys, else those of the data directory. Raises StackError when there are none."""
    keys = environ.get(SECRET_KEYS) or directory.kept_secret_keys()
    if keys is None:
        raise StackError(f"there are no keys: set {SECRET_KEYS}, or name a data directory that has some")
    return keys


async def operate(database_url: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do ``work`` on a connection of its own. Raises StackError when the database is away."""
    try:
        connection = await connect(database_url, application_name="pagemill-operator")
        try:
            return await work(connection)
        finally:
            await connection.close()
    except (*CONNECTION_ERRORS, asyncpg.PostgresError) as error:
        raise StackError(f"the database cannot be used: {str(error) or type(error).__name__}") from error


async def share_model(connection: Connection, model_id: str, *, shared: bool) -> str:
    """Let everybody see a model and predict with it, or no longer; returns its composite id.

    Raises NotFound.
    """
    model_id = model_id.rpartition("/")[2]
    owner = await SHARE_MODEL.fetch_value(connection, model_id, shared)
    if owner is None:
        raise NotFound(f"Model {model_id} not found")
    return f"{owner}/{model_id}"
