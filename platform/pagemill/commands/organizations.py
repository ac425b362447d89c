"""``pagemill organizations``: what only the operator changes of an organization."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import data_directory_option, with_database
from pagemill.ids import OrganizationId

if TYPE_CHECKING:
    from db.statements import Connection


@click.group()
def organizations() -> None:
    """Change what only the operator decides about an organization."""


@organizations.command()
@click.argument("organization_id", metavar="ID")
@click.argument("days", type=click.IntRange(1, 1_000_000))
@data_directory_option
def retention(organization_id: str, days: int, data_dir: Path) -> None:
    """Keep no document of an organization longer than DAYS: its documentRetentionInDays.

    Documents that are older are hidden at once, and deleted within an hour, whatever their own retention is.

    \b
      pagemill organizations retention las:organization:acme 365
    """

    async def run(connection: Connection) -> None:
        from db.organizations import update_document_retention
        from pagemill.audit.events import OPERATOR, AuditEvent, record
        from pagemill.errors import NotFound

        async with connection.transaction():
            found = await update_document_retention(
                connection, organization_id=OrganizationId(organization_id), days=days
            )
            if found is None:
                raise NotFound(f"there is no organization {organization_id}")
            event = AuditEvent(
                action="setRetention",
                organization_id=OrganizationId(organization_id),
                principal_id=OPERATOR,
                resource_id=organization_id,
                details={"days": days},
            )
            await record(connection, event)

    with_database(data_dir, run)
    click.echo(f"{organization_id} keeps documents for {days} days at most")
