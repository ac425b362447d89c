"""Command ``pagemill deployment-environments``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import data_directory_option, with_database
from pagemill.errors import BadRequest
from pagemill.ids import DeploymentEnvironmentId, OrganizationId

if TYPE_CHECKING:
    from db.deployment_environments import DeploymentEnvironmentRow, DeploymentEnvironmentStatus
    from db.statements import Connection

# :@latest is not a tag: it stands for the newest version.
_ID = re.compile(r"las:deployment-environment:[a-z0-9-_]+(?::@(?!latest$)[a-z0-9-_]+|:[1-9][0-9]{0,8})?")


@click.group(name="deployment-environments")
def deployment_environments() -> None:
    """Manage the deployment environments that trainings can be deployed to."""


@deployment_environments.command()
@click.argument("environment_id", metavar="ID")
@click.option("--name")
@click.option("--description")
@click.option("--units", type=click.IntRange(min=0), help="Model deployment units (default: 1).")
@click.option("--status", type=click.Choice(("available", "unavailable")), help="Default: available.")
@click.option("--owner", metavar="ORGANIZATION", help="Only this organization can use it (default: all can).")
@data_directory_option
def define(
    environment_id: str,
    name: str | None,
    description: str | None,
    units: int | None,
    status: DeploymentEnvironmentStatus | None,
    owner: str | None,
    data_dir: Path,
) -> None:
    """Add a deployment environment, or change what is given of an existing one.

    \b
      pagemill deployment-environments define las:deployment-environment:eu --name "Europe" --units 4
    """
    if not _ID.fullmatch(environment_id):
        raise BadRequest("an id is las:deployment-environment:NAME, perhaps with :VERSION or :@TAG after it")
    row = with_database(
        data_dir,
        lambda connection: _define(
            connection,
            environment_id=DeploymentEnvironmentId(environment_id),
            owner=None if owner is None else OrganizationId(owner),
            name=name,
            description=description,
            units=units,
            status=status,
        ),
    )
    click.echo(f"{row.id}  {row.model_deployment_units} units, {row.status}")


async def _define(
    connection: Connection,
    *,
    environment_id: DeploymentEnvironmentId,
    owner: OrganizationId | None,
    name: str | None,
    description: str | None,
    units: int | None,
    status: DeploymentEnvironmentStatus | None,
) -> DeploymentEnvironmentRow:
    """Add a deployment environment, or change what is given of an existing one. Raises BadRequest."""
    from db.deployment_environments import define_deployment_environment
    from db.organizations import get_organization

    if owner is not None and await get_organization(connection, organization_id=owner) is None:
        raise BadRequest(f"Organization {owner} does not exist")
    row = await define_deployment_environment(
        connection,
        environment_id=environment_id,
        owner=owner,
        name=name,
        description=description,
        units=units,
        status=status,
    )
    if row is None:
        raise BadRequest(f"{environment_id} has another owner, which cannot be changed")
    return row


@deployment_environments.command(name="list")
@data_directory_option
def list_all(data_dir: Path) -> None:
    """List the deployment environments, and how many trainings are deployed to each."""
    from rich.console import Console
    from rich.table import Table

    from db.deployment_environments import list_all_deployment_environments

    table = Table(box=None, pad_edge=False)
    for column in ("deployment environment", "name", "owner", "units", "status", "trainings"):
        table.add_column(column, overflow="fold")
    for row in with_database(data_dir, list_all_deployment_environments):
        table.add_row(
            row.id,
            row.name or "",
            row.organization_id or "",
            str(row.model_deployment_units),
            row.status,
            str(row.trainings),
        )
    Console().print(table)
