"""``pagemill secrets``: the keys that secrets are encrypted with."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from pagemill.commands.options import data_directory_option, open_directory, with_database


@click.group()
def secrets() -> None:
    """Make and exchange the keys that secrets are encrypted with.

    \b
      1. Put a new key (`pagemill secrets new-key`) first in PAGEMILL_SECRET_KEYS, before a comma;
         where that is not set, in the file secret-keys of the data directory.
      2. Restart everything: new secrets are encrypted with the new key, all can be read.
      3. pagemill secrets rotate
      4. Remove the former key, and restart everything.
    """


@secrets.command(name="new-key")
@click.argument("key_id", required=False)
def new_key(key_id: str | None) -> None:
    """Print a new random key, named KEY_ID, or after today's date."""
    from pagemill.secret_box import new_secret_key, read_secret_keys

    entry = new_secret_key(f"{datetime.now(UTC):%Y-%m-%d}" if key_id is None else key_id)
    read_secret_keys(entry)
    click.echo(entry)


@secrets.command()
@data_directory_option
def rotate(data_dir: Path) -> None:
    """Encrypt every secret with the first key.

    Nothing has to stop for it, and it can be interrupted and repeated. The exit status is 1 if some secrets
    cannot be decrypted: those stay as they are.
    """
    from pagemill.commands.stack_access import secret_keys_of
    from pagemill.housekeeping.secret_rotation import rotate_secrets
    from pagemill.secret_box import read_secret_keys

    box = read_secret_keys(secret_keys_of(open_directory(data_dir), os.environ))
    result = with_database(data_dir, lambda connection: rotate_secrets(connection, box))
    click.echo(f"{result.rotated} secrets were encrypted with the key {box.key_id}")
    for reason in result.unreadable:
        click.echo(f"pagemill: {reason}", err=True)
    sys.exit(1 if result.unreadable else 0)
