"""Database, keys and settings of the stack that a command works on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from db.pool import DATABASE_ERRORS, connect
from db.statements import Connection
from pagemill.settings import PREFIX, Settings, load_settings
from pagemill.stack.directory import DataDirectory, StackError
from pagemill.stack.stack_configuration import DATABASE_URL, SECRET_KEYS
from pagemill.stack.state_file import StackState

T = TypeVar("T")


def database_of(directory: DataDirectory, environ: Mapping[str, str]) -> str:
    """Return the URL of the operator's own database, else that of the running stack.

    Raises StackError when there is neither.
    """
    if given := environ.get(DATABASE_URL):
        return given
    state = None if directory.supervisor() is None else directory.read(directory.state, StackState)
    if state is None or not state.settings:
        raise StackError(f"no stack runs in {directory.path}: start it, or set {DATABASE_URL}")
    return load_settings(state.settings).database_url


def secret_keys_of(directory: DataDirectory, environ: Mapping[str, str]) -> str:
    """Return the operator's own secret keys, else those of the data directory.

    Raises StackError when there are neither.
    """
    keys = environ.get(SECRET_KEYS) or directory.kept_secret_keys()
    if keys is None:
        raise StackError(f"there are no keys: set {SECRET_KEYS}, or name a data directory that has some")
    return keys


def settings_of(directory: DataDirectory, environ: Mapping[str, str]) -> Settings:
    """Return the settings of the running stack, overridden by those in the environment.

    Raises StackError when there is no database, and SettingsError for wrong values.
    """
    database_url = database_of(directory, environ)
    state = None if directory.supervisor() is None else directory.read(directory.state, StackState)
    known = {} if state is None or environ.get(DATABASE_URL) else state.settings
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value}
    return load_settings({**known, **given, DATABASE_URL: database_url})


async def operate(database_url: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Run ``work`` on a new connection. Raises StackError when the database cannot be used."""
    try:
        connection = await connect(database_url, application_name="pagemill-operator")
        try:
            return await work(connection)
        finally:
            await connection.close()
    except DATABASE_ERRORS as error:
        raise StackError(f"the database cannot be used: {str(error) or type(error).__name__}") from error
