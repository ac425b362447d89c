"""Deployment environments, which the operator defines for one organization or for all of them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from db.statements import Connection, NeverNull, Row, columns, crossing, tenant
from pagemill.ids import DeploymentEnvironmentId, OrganizationId

OPERATORS = "deployment environments are the operator's, not a tenant's"

DeploymentEnvironmentStatus: TypeAlias = Literal["available", "unavailable"]


class DeploymentEnvironmentRow(Row):
    """A deployment environment; without an organization it is for all of them."""

    id: DeploymentEnvironmentId
    organization_id: OrganizationId | None
    name: str | None
    description: str | None
    model_deployment_units: int
    status: DeploymentEnvironmentStatus
    created_time: datetime.datetime


class DeploymentEnvironmentUseRow(DeploymentEnvironmentRow):
    """A deployment environment, and how many trainings are deployed to it."""

    trainings: Annotated[int, NeverNull("count(*)")]


# Of several versions the longest id has the greatest number.
@tenant(f"""
    SELECT {columns(DeploymentEnvironmentRow)} FROM deployment_environment
    WHERE (organization_id IS NULL OR organization_id = :organization_id)
        AND (
            id = :environment_id
            OR (:newest AND starts_with(id, :environment_id || ':') AND position('@' IN id) = 0)
        )
    ORDER BY length(id) DESC, id DESC LIMIT 1
""")
async def get_deployment_environment(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    environment_id: DeploymentEnvironmentId,
    newest: bool,
) -> DeploymentEnvironmentRow | None:
    """Return the deployment environment with this id, or its newest version ``<id>:<number>``."""


@tenant(f"""
    SELECT {columns(DeploymentEnvironmentRow)} FROM deployment_environment
    WHERE (organization_id IS NULL OR organization_id = :organization_id)
        AND (:owners::text[] IS NULL OR organization_id = ANY(:owners))
        AND (created_time, id) > (
            coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
        )
    ORDER BY created_time, id LIMIT :limit
""")
async def list_deployment_environments(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    owners: Sequence[str] | None,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[DeploymentEnvironmentRow]:
    """Return a page of the deployment environments that the organization may use, oldest first."""


@crossing(
    OPERATORS,
    f"""
    INSERT INTO deployment_environment AS environment (
        id, organization_id, name, description, model_deployment_units, status, created_time
    )
    VALUES (
        :environment_id, :owner, :name, :description, coalesce(:units, 1), coalesce(:status, 'available'),
        now()
    )
    ON CONFLICT (id) DO UPDATE SET
        name = coalesce(:name, environment.name),
        description = coalesce(:description, environment.description),
        model_deployment_units = coalesce(:units, environment.model_deployment_units),
        status = coalesce(:status, environment.status)
    WHERE environment.organization_id IS NOT DISTINCT FROM :owner
    RETURNING {columns(DeploymentEnvironmentRow)}
    """,
)
async def define_deployment_environment(
    connection: Connection,
    *,
    environment_id: DeploymentEnvironmentId,
    owner: OrganizationId | None,
    name: str | None,
    description: str | None,
    units: int | None,
    status: str | None,
) -> DeploymentEnvironmentRow | None:
    """Add a deployment environment, or change what is given of an existing one.

    Returns None for one with another owner: the owner never changes, because the former owner's trainings
    may be deployed to it.
    """


@crossing(
    OPERATORS,
    f"""
    SELECT {columns(DeploymentEnvironmentRow)}, (
        SELECT count(*) FROM training WHERE training.deployment_environment_id = deployment_environment.id
    ) AS trainings
    FROM deployment_environment ORDER BY id
    """,
)
async def list_all_deployment_environments(connection: Connection) -> list[DeploymentEnvironmentUseRow]:
    """Return the deployment environments of all organizations, by id."""


@crossing(
    OPERATORS,
    """
    INSERT INTO deployment_environment (
        id, organization_id, name, description, model_deployment_units, status, created_time
    )
    VALUES (:environment_id, :owner, :name, :description, :units, :status, now())
    ON CONFLICT (id) DO NOTHING
    """,
)
async def insert_deployment_environment(
    connection: Connection,
    *,
    environment_id: DeploymentEnvironmentId,
    owner: OrganizationId | None,
    name: str | None,
    description: str | None,
    units: int,
    status: DeploymentEnvironmentStatus,
) -> None:
    """Add a deployment environment unless there is one with this id."""
