"""``pagemill people``: what only the operator does for people who sign in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import data_directory_option, printable, with_database

if TYPE_CHECKING:
    from db.statements import Connection

PAGES = {"recover": "/sign-in/recovery/code", "invite": "/sign-in/invitation"}


@click.group()
def people() -> None:
    """Help people to sign in, and say how many organizations they may create."""


@people.command()
@click.argument("address", metavar="EMAIL")
@data_directory_option
def code(address: str, data_dir: Path) -> None:
    """Print a code for somebody who gets no mail: for a new password, or for each invitation.

    Hand it on only to the person whose address it is: whoever has it can sign in as that person.

    \b
      pagemill people code ada@example.com
    """
    from pagemill.people.codes_by_hand import make_codes
    from pagemill.people.one_time_codes import RULES

    for made in with_database(data_dir, lambda connection: make_codes(connection, address)):
        days, minutes = divmod(int(RULES[made.purpose].seconds) // 60, 24 * 60)
        valid = f"{days} days" if days else f"{minutes} minutes"
        about = f" to {printable(made.organization)}" if made.organization else ""
        click.echo(f"{made.code}  {made.purpose}{about}, for {valid}, at {PAGES[made.purpose]}")


@people.command()
@click.argument("address", metavar="EMAIL")
@click.argument("number", type=click.IntRange(0, 1_000_000))
@data_directory_option
def allow(address: str, number: int, data_dir: Path) -> None:
    """Let a person create NUMBER organizations in all: its numberOfOrganizationsAllowed.

    \b
      pagemill people allow ada@example.com 5
    """

    async def run(connection: Connection) -> None:
        from db.profiles import set_organizations_allowed
        from pagemill.audit.events import OPERATOR, AuditEvent, record
        from pagemill.errors import NotFound
        from pagemill.people.addresses import read_address

        email = read_address(address)
        async with connection.transaction():
            found = email and await set_organizations_allowed(connection, email=email, allowed=number)
            if not found:
                raise NotFound(f"{address} has no account")
            event = AuditEvent(
                action="allowOrganizations",
                principal_id=OPERATOR,
                profile_id=found,
                resource_id=found,
                details={"number": number},
            )
            await record(connection, event)

    with_database(data_dir, run)
    click.echo(f"{address} may create {number} organizations")
