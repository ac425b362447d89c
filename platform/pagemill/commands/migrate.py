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
@click.option(
    "--create-role",
    is_flag=True,
    help="First make the role of PAGEMILL_DATABASE_URL, or give it the password of that URL.",
)
def migrate(credentials_file: Path | None, create_bucket: bool, create_role: bool) -> None:
    """Bring the database of PAGEMILL_DATABASE_URL to the schema of this release.

    PAGEMILL_DATABASE_OWNER_URL names its owner where that is another role: then the schema is changed as that
    one, and the role of PAGEMILL_DATABASE_URL is granted the use of its rows and nothing else.

    Run it before the other parts of a release start: the code of the release before works on the new schema
    too. It can be repeated, and several at once wait for each other. `pagemill up` does it by itself.

    \b
      pagemill migrate
      pagemill migrate --credentials credentials.json    # also creates the first organization, once
    """
    from pagemill.settings import SettingsError, load_settings
    from pagemill.stack.bootstrap import bootstrap, check_database, define_application, prepare_schema
    from pagemill.stack.directory import credentials_kept_in
    from pagemill.stack.stack_configuration import DATABASE_OWNER_URL, DATABASE_URL

    database_url = os.environ.get(DATABASE_URL)
    if not database_url:
        raise SettingsError(f"{DATABASE_URL} is not set: whose schema?")
    owner_url = os.environ.get(DATABASE_OWNER_URL) or database_url
    check_database(owner_url)
    if create_role and owner_url != database_url:
        define_application(owner_url, database_url)
    prepare_schema(owner_url, database_url)
    click.echo("the schema is that of this release")
    if credentials_file is not None:
        credentials = credentials_kept_in(credentials_file)
        bootstrap(owner_url, credentials)
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
