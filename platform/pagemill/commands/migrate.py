"""``pagemill migrate``: the schema of this release and the first organization, in the operator's database."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pagemill.settings import Settings


@click.command()
@click.option(
    "--credentials",
    "credentials_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="JSON file with the ids and the secret of the first app client; created unless it exists.",
)
@click.option(
    "--create-bucket", is_flag=True, help="Create the bucket of PAGEMILL_OBJECTS_URL unless it exists."
)
def migrate(credentials_file: Path | None, create_bucket: bool) -> None:
    """Bring the database of PAGEMILL_DATABASE_URL to the schema of this release.

    Run it before the other parts of a release start: the code of the release before works on the new schema
    too. It can be repeated, and several at once wait for each other. `pagemill up` does it by itself.

    \b
      pagemill migrate
      pagemill migrate --credentials credentials.json    # also creates the first organization, once
    """
    from db.migrate import migrate as run_migrations
    from pagemill.settings import SettingsError, load_settings
    from pagemill.stack.bootstrap import bootstrap, check_database
    from pagemill.stack.directory import credentials_kept_in
    from pagemill.stack.stack_configuration import DATABASE_URL

    database_url = os.environ.get(DATABASE_URL)
    if not database_url:
        raise SettingsError(f"{DATABASE_URL} is not set: whose schema?")
    check_database(database_url)
    run_migrations(database_url)
    click.echo("the schema is that of this release")
    if credentials_file is not None:
        credentials = credentials_kept_in(credentials_file)
        bootstrap(database_url, credentials)
        click.echo(f"the first organization is {credentials.organization_id}")
    if create_bucket:
        asyncio.run(_create_bucket(load_settings(os.environ)))


async def _create_bucket(settings: Settings) -> None:
    from pagemill.objects import open_objects
    from pagemill.objects.s3 import S3ObjectStore

    objects = open_objects(settings)
    try:
        if isinstance(objects, S3ObjectStore):
            await objects.create_bucket()
            click.echo(f"objects are stored in {settings.objects_url}")
    finally:
        await objects.close()
