"""``pagemill keys``: the keys that access tokens are signed with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import age_since, data_directory_option, open_directory, with_database

if TYPE_CHECKING:
    from db.signing_keys import SigningKeyRow
    from db.statements import Connection


@click.group()
def keys() -> None:
    """Show and exchange the keys that access tokens are signed with.

    They are exchanged by themselves, after PAGEMILL_SIGNING_KEY_LIFETIME.
    """


@keys.command(name="list")
@data_directory_option
def list_keys(data_dir: Path) -> None:
    """List the keys whose tokens are accepted, oldest first."""
    from db.signing_keys import list_signing_keys

    for row in with_database(data_dir, list_signing_keys):
        click.echo(f"{row.kid}  {_state_of(row)}")


@keys.command()
@click.option("--revoke", is_flag=True, help="Refuse what former keys have signed: they have leaked.")
@data_directory_option
def rotate(revoke: bool, data_dir: Path) -> None:
    """Make a new key, which signs after ten minutes.

    The former one is accepted until the last token that it has signed is over, so nobody is signed out. With
    --revoke it is deleted: all programs have to get new tokens, and all apps have to refresh theirs. The API
    processes notice that within a minute.
    """
    from db.signing_keys import list_signing_keys
    from pagemill.commands.stack_access import secret_keys_of, settings_of
    from pagemill.housekeeping.signing_keys import newest_of, rotate_signing_key
    from pagemill.secret_box import read_secret_keys

    directory = open_directory(data_dir)
    settings = settings_of(directory, os.environ)
    box = read_secret_keys(secret_keys_of(directory, os.environ))

    async def work(connection: Connection) -> str:
        newest = newest_of(await list_signing_keys(connection))
        return await rotate_signing_key(
            connection, box, newest, token_lifetime=settings.token_lifetime, revoke=revoke
        )

    click.echo(f"the new key is {with_database(data_dir, work)}")


def _state_of(row: SigningKeyRow) -> str:
    if row.delete_time is None:
        return f"{age_since(row.created_time)} old"
    return f"retired, accepted until {row.delete_time:%Y-%m-%d %H:%M} UTC"
