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


@organizations.command()
@click.argument("person", metavar="EMAIL|PROFILE")
@click.argument("number", type=click.IntRange(0, 1_000_000))
@data_directory_option
def allow(person: str, number: int, data_dir: Path) -> None:
    """Let somebody create so many organizations in all: numberOfOrganizationsAllowed of the profile.

    \b
      pagemill organizations allow ada@example.com 5
    """

    async def run(connection: Connection) -> str:
        from db.profiles import allow_organizations
        from pagemill.audit.events import OPERATOR, AuditEvent, record
        from pagemill.errors import NotFound

        async with connection.transaction():
            profile_id = await allow_organizations(connection, person=person, number=number)
            if profile_id is None:
                raise NotFound(f"nobody has the address or profile {person}")
            event = AuditEvent(
                action="allowOrganizations",
                principal_id=OPERATOR,
                profile_id=profile_id,
                resource_id=profile_id,
                details={"number": number},
            )
            await record(connection, event)
        return profile_id

    profile_id = with_database(data_dir, run)
    click.echo(f"{profile_id} may create {number} organizations")
