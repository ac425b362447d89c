"""What the operator does to a stack's database, past the API."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import asyncpg

from db.deployment_environments import DEFINE_DEPLOYMENT_ENVIRONMENT
from db.models import SHARE_MODEL
from db.organizations import get_organization
from db.pool import CONNECTION_ERRORS, connect
from db.statements import Connection
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import OrganizationId
from pagemill.settings import PREFIX, Settings, load_settings
from pagemill.stack.configuration import DATABASE_URL, SECRET_KEYS
from pagemill.stack.directory import DataDirectory, StackError
from pagemill.stack.state import StackState

T = TypeVar("T")

# :@latest is no tag: it means the newest version.
_DEPLOYMENT_ENVIRONMENT = re.compile(
    r"las:deployment-environment:[a-z0-9-_]+(?::@(?!latest$)[a-z0-9-_]+|:[1-9][0-9]{0,8})?"
)


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


def settings_of(directory: DataDirectory, environ: Mapping[str, str]) -> Settings:
    """The settings of the stack that runs, else those that the operator gives.

    Raises StackError when there are neither, SettingsError.
    """
    database_url = database_of(directory, environ)
    state = None if directory.supervisor() is None else directory.read(directory.state, StackState)
    known = {} if state is None or environ.get(DATABASE_URL) else state.settings
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value}
    return load_settings({**known, **given, DATABASE_URL: database_url})


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


async def define_deployment_environment(
    connection: Connection,
    environment_id: str,
    *,
    owner: str | None = None,
    name: str | None = None,
    description: str | None = None,
    units: int | None = None,
    status: str | None = None,
) -> asyncpg.Record:
    """Add one, or change what is given of one that is there. Raises BadRequest."""
    if not _DEPLOYMENT_ENVIRONMENT.fullmatch(environment_id):
        raise BadRequest("an id is las:deployment-environment:NAME, perhaps with :VERSION or :@TAG after it")
    if (
        owner is not None
        and await get_organization(connection, organization_id=OrganizationId(owner)) is None
    ):
        raise BadRequest(f"Organization {owner} does not exist")
    row = await DEFINE_DEPLOYMENT_ENVIRONMENT.fetch_one(
        connection, environment_id, owner, name, description, units, status
    )
    if row is None:
        raise BadRequest(f"{environment_id} has another owner, which cannot be changed")
    return row


async def share_model(connection: Connection, model_id: str, *, shared: bool) -> str:
    """Let everybody see a model and predict with it, or no longer; returns its composite id.

    Raises NotFound.
    """
    model_id = model_id.rpartition("/")[2]
    owner = await SHARE_MODEL.fetch_value(connection, model_id, shared)
    if owner is None:
        raise NotFound(f"Model {model_id} not found")
    return f"{owner}/{model_id}"
