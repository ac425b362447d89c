"""What the operator does to a stack's database, past the API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import asyncpg

from db.models import SHARE_MODEL
from db.pool import CONNECTION_ERRORS, connect
from pagemill.errors import NotFound
from pagemill.settings import load_settings
from pagemill.stack.configuration import DATABASE_URL
from pagemill.stack.directory import DataDirectory, StackError
from pagemill.stack.state import StackState


def database_of(directory: DataDirectory, environ: Mapping[str, str]) -> str:
    """The operator's own database, else that of the stack that runs. Raises StackError when none does."""
    if given := environ.get(DATABASE_URL):
        return given
    state = None if directory.supervisor() is None else directory.read(directory.state, StackState)
    if state is None or not state.settings:
        raise StackError(f"no stack runs in {directory.path}: start it, or set {DATABASE_URL}")
    return load_settings(state.settings).database_url


def share_model(database_url: str, model_id: str, *, shared: bool) -> str:
    """Let everybody see a model and predict with it, or no longer; returns its composite id.

    Raises NotFound, and StackError when the database is away.
    """
    try:
        return asyncio.run(_share_model(database_url, model_id.rpartition("/")[2], shared))
    except (*CONNECTION_ERRORS, asyncpg.PostgresError, ValueError) as error:
        raise StackError(f"the database cannot be used: {str(error) or type(error).__name__}") from error


async def _share_model(database_url: str, model_id: str, shared: bool) -> str:
    connection = await connect(database_url, application_name="pagemill-operator")
    try:
        owner = await SHARE_MODEL.fetch_value(connection, model_id, shared)
    finally:
        await connection.close()
    if owner is None:
        raise NotFound(f"Model {model_id} not found")
    return f"{owner}/{model_id}"
