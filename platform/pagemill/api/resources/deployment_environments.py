"""REST resource ``/deploymentEnvironments`` (read only; the operator defines them)."""

from __future__ import annotations

import re

from litestar import Controller, get

from db import deployment_environments as statements
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.requests import ApiRequest
from pagemill.api.http.schemas import ResponseStruct
from pagemill.api.resources.plans import Owners, owners_of
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import DeploymentEnvironmentId, OrganizationId

_REFERENCE = re.compile(
    r"(?:(?P<owner>las:organization:[a-z0-9-_]+)/)?"
    r"(?P<slug>las:deployment-environment:[a-z0-9-_]+)(?P<version>:@[a-z0-9-_]+|:[0-9]+)?"
)
LATEST = ":@latest"


class DeploymentEnvironment(ResponseStruct):
    """A place that trainings can be deployed to; without an organization it is for all of them."""

    deployment_environment_id: DeploymentEnvironmentId
    name: str | None
    description: str | None
    organization_id: OrganizationId | None
    model_deployment_units: int
    status: statements.DeploymentEnvironmentStatus


class DeploymentEnvironments(ResponseStruct):
    """A page of deployment environments."""

    deployment_environments: list[DeploymentEnvironment]
    next_token: str | None


def to_deployment_environment(row: statements.DeploymentEnvironmentRow) -> DeploymentEnvironment:
    """Return a deployment environment as the API shows it."""
    return DeploymentEnvironment(
        deployment_environment_id=row.id,
        name=row.name,
        description=row.description,
        organization_id=row.organization_id,
        model_deployment_units=row.model_deployment_units,
        status=row.status,
    )


async def find_deployment_environment(
    connection: Connection, caller: Caller, reference: str
) -> statements.DeploymentEnvironmentRow | None:
    """Return the deployment environment of an id with an optional organization, version or ``:@latest``."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return None
    newest = match["version"] in (None, LATEST)
    row = await statements.get_deployment_environment(
        connection,
        organization_id=caller.organization_id,
        environment_id=DeploymentEnvironmentId(match["slug"] if newest else match["slug"] + match["version"]),
        newest=newest,
    )
    if row is not None and match["owner"] not in (None, row.organization_id):
        return None
    return row


async def checked_deployment_environment(
    connection: Connection, caller: Caller, reference: str
) -> DeploymentEnvironmentId:
    """Return the id of a deployment environment that is available to the caller. Raises BadRequest."""
    row = await find_deployment_environment(connection, caller, reference)
    if row is None:
        raise BadRequest(f"deploymentEnvironmentId: {reference} does not exist")
    if row.status != "available":
        raise BadRequest(f"deploymentEnvironmentId: {reference} is not available")
    return row.id


class DeploymentEnvironmentController(Controller):
    """Operations on deployment environments."""

    path = "/deploymentEnvironments"
    tags = ("Deployment environments",)

    @get()
    async def list_deployment_environments(
        self, caller: Caller, connection: RequestConnection, page: PageRequest, owner: Owners = None
    ) -> DeploymentEnvironments:
        """List deployment environments, oldest first.

        These are the shared ones, whose `organizationId` is null, and the organization's own. `owner`
        limits the list to the deployment environments of these organizations; `me` is the caller's.
        """
        rows = await statements.list_deployment_environments(
            connection,
            organization_id=caller.organization_id,
            owners=owners_of(caller, owner),
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page)
        return DeploymentEnvironments(
            deployment_environments=[to_deployment_environment(row) for row in shown], next_token=token
        )

    @get(["/{deployment_environment_id:str}", "/{owner_id:str}/{deployment_environment_id:str}"])
    async def get_deployment_environment(
        self, request: ApiRequest, caller: Caller, connection: RequestConnection
    ) -> DeploymentEnvironment:
        """Get a deployment environment.

        The id may have an organization's id and a slash before it, and a version (`:<number>`, `:@<tag>`
        or `:@latest`) after it. Without a version it stands for the latest one.
        """
        reference = "/".join(str(part) for part in request.path_params.values())
        row = await find_deployment_environment(connection, caller, reference)
        if row is None:
            raise NotFound(f"DeploymentEnvironment {reference} not found")
        return to_deployment_environment(row)
