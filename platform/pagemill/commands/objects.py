"""``pagemill objects``: comparison of object storage with the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import always, data_directory_option, json_option, print_json, with_stores
from pagemill.ids import OrganizationId

if TYPE_CHECKING:
    from db.statements import Connection
    from pagemill.housekeeping.orphaned_objects import SweepReport
    from pagemill.objects import ObjectStore
    from pagemill.settings import Settings


@click.group()
def objects() -> None:
    """Compare object storage with the database."""


@objects.command()
@click.option("--delete", is_flag=True, help="Delete the objects that no row names.")
@click.option("--organization", "organization_id", metavar="ID", help="Sweep this organization only.")
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Leave younger objects alone: their rows may not be written yet.  [default: PAGEMILL_OBJECT_GRACE]",
)
@json_option
@data_directory_option
def sweep(
    delete: bool, organization_id: OrganizationId | None, grace: float | None, as_json: bool, data_dir: Path
) -> None:
    """Find objects that no row names, and rows whose object is missing.

    Without --delete nothing is changed. The exit status is 1 when an object is missing. A running stack
    sweeps every day by itself, but deletes nothing if most objects have no row: an operator has to decide.

    \b
      pagemill objects sweep
      pagemill objects sweep --organization las:organization:acme --delete
    """

    async def run(connection: Connection, objects: ObjectStore, settings: Settings) -> list[SweepReport]:
        from pagemill.housekeeping.orphaned_objects import ObjectSweep, organizations_to_sweep

        return [
            await ObjectSweep(
                lambda: always(connection),
                objects,
                one,
                grace=settings.object_grace if grace is None else grace,
                delete=delete,
            ).run()
            for one in await organizations_to_sweep(connection, organization_id)
        ]

    reports = with_stores(data_dir, run)
    if as_json:
        print_json(reports)
    else:
        _show(reports, deleted=delete)
    if any(report.missing for report in reports):
        raise SystemExit(1)


def _show(reports: list[SweepReport], *, deleted: bool) -> None:
    for report in reports:
        click.echo(
            f"{report.organization_id}  {report.objects} objects, {report.rows} rows, "
            f"{report.orphans} without a row{f', {report.removed} removed' if deleted else ''}, "
            f"{report.recent} too young to say, {report.missing} missing"
        )
        for key in report.orphan_keys:
            click.echo(f"  without a row  {key}")
        for missing in report.missing_objects:
            click.secho(f"  missing        {missing.key} of {missing.id}", fg="red")
