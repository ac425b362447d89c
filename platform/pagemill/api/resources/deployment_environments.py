"""Deployment environments: ``/deploymentEnvironments`` (read only; operators define them)."""

from __future__ import annotations

import re
from typing import Any, Literal

import asyncpg
from litestar import Controller, Request, get

from db import deployment_environments as statements
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.database import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import ResponseStruct
from pagemill.api.resources.plans import Owners, owners_of
from pagemill.errors import BadRequest, NotFound

_REFERENCE = re.compile(
    r"(?:(?P<owner>las:organization:[a-z0-9-_]+)/)?"
    r"(?P<slug>las:deployment-environment:[a-z0-9-_]+)(?P<version>:@[a-z0-9-_]+|:[0-9]+)?"
)
LATEST = ":@latest"


class DeploymentEnvironment(ResponseStruct):
    deployment_environment_id: str
    name: str | None
    description: str | None
    organization_id: str | None
    model_deployment_units: int
    status: Literal["available", "unavailable"]


class DeploymentEnvironments(ResponseStruct):
    deployment_environments: list[DeploymentEnvironment]
    next_token: str | None


def to_deployment_environment(row: asyncpg.Record) -> DeploymentEnvironment:
    return DeploymentEnvironment(
        deployment_environment_id=row["id"],
        name=row["name"],
        description=row["description"],
        organization_id=row["organization_id"],
        model_deployment_units=row["model_deployment_units"],
        status=row["status"],
    )


async def find_deployment_environment(
    connection: Connection, caller: Caller, reference: str
) -> asyncpg.Record | None:
    """The one of an id that may carry an organization before it, and a version or ``:@latest`` after it."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return None
    newest = match["version"] in (None, LATEST)
    identifier = match["slug"] if newest else match["slug"] + match["version"]
    row = await statements.GET_DEPLOYMENT_ENVIRONMENT.fetch_one(
        connection, caller.organization_id, identifier, newest
    )
    if row is not None and match["owner"] not in (None, row["organization_id"]):
        return None
    return row


async def checked_deployment_environment(connection: Connection, caller: Caller, reference: str) -> str:
    """The id of one that trainings can be deployed to. Raises BadRequest."""
    row = await find_deployment_environment(connection, caller, reference)
    if row is None:
        raise BadRequest(f"deploymentEnvironmentId: {reference} does not exist")
    if row["status"] != "available":
        raise BadRequest(f"deploymentEnvironmentId: {reference} is not available")
    return str(row["id"])


class DeploymentEnvironmentController(Controller):
    path = "/deploymentEnvironments"
    tags = ("Deployment environments",)

    @get()
    async def list_deployment_environments(
        self, caller: Caller, connection: RequestConnection, page: PageRequest, owner: Owners = None
    ) -> DeploymentEnvironments:
        """Everybody's and the organization's own; with ``owner``, those of the owners."""
        rows = await statements.LIST_DEPLOYMENT_ENVIRONMENTS.fetch(
            connection, caller.organization_id, owners_of(caller, owner), *page.after, page.limit
        )
        shown, token = cut(rows, page)
        return DeploymentEnvironments(
            deployment_environments=[to_deployment_environment(row) for row in shown], next_token=token
        )

    @get(["/{deployment_environment_id:str}", "/{owner_id:str}/{deployment_environment_id:str}"])
    async def get_deployment_environment(
        self, request: Request[Any, Any, Any], caller: Caller, connection: RequestConnection
    ) -> DeploymentEnvironment:
        """The id may be prefixed by an organization and may end in a version or ``:@latest``."""
        reference = "/".join(str(part) for part in request.path_params.values())
        row = await find_deployment_environment(connection, caller, reference)
        if row is None:
            raise NotFound(f"DeploymentEnvironment {reference} not found")
        return to_deployment_environment(row)
