"""Administration of a stack's database, without the API."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import asyncpg

from db import deployment_environments, models
from db.deployment_environments import DeploymentEnvironmentRow, DeploymentEnvironmentStatus
from db.organizations import get_organization
from db.pool import CONNECTION_ERRORS, connect
from db.statements import Connection
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import DeploymentEnvironmentId, ModelId, OrganizationId
from pagemill.settings import PREFIX, Settings, load_settings
from pagemill.stack.directory import DataDirectory, StackError
from pagemill.stack.stack_configuration import DATABASE_URL, SECRET_KEYS
from pagemill.stack.state_file import StackState

T = TypeVar("T")

# :@latest is not a tag: it stands for the newest version.
_DEPLOYMENT_ENVIRONMENT = re.compile(
    r"las:deployment-environment:[a-z0-9-_]+(?::@(?!latest$)[a-z0-9-_]+|:[1-9][0-9]{0,8})?"
)


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
    status: DeploymentEnvironmentStatus | None = None,
) -> DeploymentEnvironmentRow:
    """Add a deployment environment, or change what is given of an existing one. Raises BadRequest."""
    if not _DEPLOYMENT_ENVIRONMENT.fullmatch(environment_id):
        raise BadRequest("an id is las:deployment-environment:NAME, perhaps with :VERSION or :@TAG after it")
    if (
        owner is not None
        and await get_organization(connection, organization_id=OrganizationId(owner)) is None
    ):
        raise BadRequest(f"Organization {owner} does not exist")
    row = await deployment_environments.define_deployment_environment(
        connection,
        environment_id=DeploymentEnvironmentId(environment_id),
        owner=None if owner is None else OrganizationId(owner),
        name=name,
        description=description,
        units=units,
        status=status,
    )
    if row is None:
        raise BadRequest(f"{environment_id} has another owner, which cannot be changed")
    return row


async def share_model(connection: Connection, model_id: str, *, shared: bool) -> str:
    """Share a model with all organizations, or stop sharing it; return the id with its owner before it.

    Raises NotFound.
    """
    model_id = model_id.rpartition("/")[2]
    owner = await models.share_model(connection, model_id=ModelId(model_id), shared=shared)
    if owner is None:
        raise NotFound(f"Model {model_id} not found")
    return f"{owner}/{model_id}"
