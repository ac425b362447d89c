"""``pagemill people``: what only the operator does for people who sign in."""

from __future__ import annotations

from pathlib import Path

import click

from pagemill.commands.options import data_directory_option, printable, with_database

PAGES = {"recover": "/sign-in/recovery/code", "invite": "/sign-in/invitation"}


@click.group()
def people() -> None:
    """Help people to sign in."""


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
