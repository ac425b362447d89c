"""Command ``pagemill deployment-environments``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import data_directory_option, with_database

if TYPE_CHECKING:
    from db.deployment_environments import DeploymentEnvironmentStatus


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
    from pagemill.commands.operating import define_deployment_environment

    row = with_database(
        data_dir,
        lambda connection: define_deployment_environment(
            connection,
            environment_id,
            owner=owner,
            name=name,
            description=description,
            units=units,
            status=status,
        ),
    )
    click.echo(f"{row.id}  {row.model_deployment_units} units, {row.status}")


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
