"""``pagemill backup`` and ``pagemill restore``: database, objects and keys, to a directory and back."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import data_directory_option, open_directory

if TYPE_CHECKING:
    from pagemill.settings import Settings
    from pagemill.stack.backup import BackupContents
    from pagemill.stack.directory import DataDirectory

MEGABYTE = 1_000_000
directory_argument = click.argument("directory", type=click.Path(file_okay=False, path_type=Path))


@click.command()
@directory_argument
@click.option(
    "--keys",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="Copy the keys of the data directory there: apart, since with them the backup tells all secrets.",
)
@click.option("--without-objects", is_flag=True, help="Only the database: the bucket is kept in another way.")
@data_directory_option
def backup(directory: Path, keys: Path | None, without_objects: bool, data_dir: Path) -> None:
    """Write database and objects to an empty DIRECTORY, while everything runs.

    \b
      pagemill backup /backups/monday --keys /vault/keys
    """
    from pagemill.commands.stack_access import settings_of
    from pagemill.stack.backup import keep_keys

    found = open_directory(data_dir)
    settings = settings_of(found, os.environ)
    if keys is not None and keys.resolve().is_relative_to(directory.resolve()):
        raise click.UsageError("the keys have to be kept apart from the backup")
    if keys is not None:
        click.echo(f"keys: {', '.join(keep_keys(found, keys)) or 'there are none in ' + str(found.path)}")
    _tell(asyncio.run(_back_up(settings, directory, with_objects=not without_objects)))


async def _back_up(settings: Settings, directory: Path, *, with_objects: bool) -> BackupContents:
    from pagemill.objects import open_objects
    from pagemill.stack.backup import back_up

    objects = open_objects(settings)
    try:
        return await back_up(settings.database_url, objects if with_objects else None, directory)
    finally:
        await objects.close()


@click.command()
@directory_argument
@click.option(
    "--keys",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIRECTORY",
    help="Copy these keys into the data directory first.",
)
@data_directory_option
def restore(directory: Path, keys: Path | None, data_dir: Path) -> None:
    """Put the backup in DIRECTORY into an empty stack that does not run, or an empty database.

    Afterwards start everything; `pagemill objects sweep` says whether an object is missing. With
    PAGEMILL_DATABASE_URL and PAGEMILL_OBJECTS_URL it goes there, else into the data directory.

    \b
      pagemill restore /backups/monday --keys /vault/keys --data-dir /srv/pagemill
    """
    from pagemill.stack.backup import read_contents, restore_keys

    read_contents(directory)
    found = open_directory(data_dir)
    found.prepare()
    with found.lock():
        if keys is not None:
            click.echo(f"keys: {', '.join(restore_keys(keys, found))}")
        _tell(_restore(directory, found))


def _restore(directory: Path, data: DataDirectory) -> BackupContents:
    from pagemill.commands.stack_access import secret_keys_of
    from pagemill.stack.postgres import EmbeddedPostgres
    from pagemill.stack.stack_configuration import DATABASE_OWNER_URL, DATABASE_URL

    secret_keys_of(data, os.environ)
    if given := os.environ.get(DATABASE_OWNER_URL) or os.environ.get(DATABASE_URL):
        return asyncio.run(_restore_into(directory, data, given))
    server = EmbeddedPostgres(data.postgres)
    try:
        server.start()
        return asyncio.run(_restore_into(directory, data, server.url()))
    finally:
        server.stop()


async def _restore_into(directory: Path, data: DataDirectory, database_url: str) -> BackupContents:
    from pagemill.objects import open_objects
    from pagemill.settings import PREFIX, load_settings
    from pagemill.stack.backup import restore as restore_backup
    from pagemill.stack.stack_configuration import DATABASE_URL

    objects_url = {f"{PREFIX}OBJECTS_URL": data.objects.as_uri()}
    objects = open_objects(load_settings({**objects_url, **os.environ, DATABASE_URL: database_url}))
    try:
        return await restore_backup(directory, database_url, objects)
    finally:
        await objects.close()


def _tell(contents: BackupContents) -> None:
    click.echo(f"database: {contents.dump_bytes / MEGABYTE:.1f} MB, of release {contents.release}")
    if contents.with_objects:
        click.echo(f"objects: {contents.objects}, {contents.object_bytes / MEGABYTE:.1f} MB")
    else:
        click.echo("objects: not in the backup")
