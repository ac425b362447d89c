"""``pagemill consents``: export and deletion of all data under a consent."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import data_directory_option, json_option, print_json, with_stores
from pagemill.ids import ConsentId, OrganizationId

if TYPE_CHECKING:
    from db.statements import Connection
    from pagemill.housekeeping.consent_export import ExportReport
    from pagemill.housekeeping.consents import ConsentSummary
    from pagemill.objects import ObjectStore
    from pagemill.settings import Settings

_CONSENT_ID = re.compile(r"las:consent:[a-f0-9]{32}")


def _checked(_context: click.Context, _parameter: click.Parameter, value: str) -> ConsentId:
    if not _CONSENT_ID.fullmatch(value):
        raise click.BadParameter("is not las:consent: and 32 hexadecimal digits")
    return ConsentId(value)


consent_argument = click.argument("consent_id", callback=_checked)
organization_option = click.option("--organization", "organization_id", required=True, metavar="ID")


@click.group()
def consents() -> None:
    """Export or delete all data under a consent.

    A consent is the consentId that a client sends with its documents.
    """


@consents.command()
@consent_argument
@organization_option
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE.zip",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
)
@data_directory_option
def export(consent_id: ConsentId, organization_id: OrganizationId, output: Path, data_dir: Path) -> None:
    """Write the documents, their files, labels and predictions into one zip file.

    \b
      pagemill consents export las:consent:... --organization las:organization:acme -o consent.zip

    The exit status is 1 when a file that should be stored is missing; consent.json names it.
    """

    async def run(connection: Connection, objects: ObjectStore, _settings: Settings) -> ExportReport:
        from pagemill.housekeeping.consent_export import export_consent
        from pagemill.housekeeping.consents import summarise_consent

        summary = await summarise_consent(connection, organization_id, consent_id)
        with click.progressbar(length=summary.documents, label="Documents", file=sys.stderr) as bar:
            return await export_consent(
                connection, objects, organization_id, consent_id, output, progress=bar.update
            )

    report = with_stores(data_dir, run)
    click.echo(f"{output}: {report.documents} documents, {report.predictions} predictions")
    if report.missing:
        click.echo(f"pagemill: {len(report.missing)} stored files are missing", err=True)
        sys.exit(1)


@consents.command()
@consent_argument
@organization_option
@click.option("--yes", is_flag=True, help="Delete; without it the command only shows what it would delete.")
@json_option
@data_directory_option
def delete(
    consent_id: ConsentId, organization_id: OrganizationId, yes: bool, as_json: bool, data_dir: Path
) -> None:
    """Delete the documents and all that holds their values, also of documents that are deleted already.

    These are their files and predictions, and the data and logs of executions that name them. An open
    execution is emptied when it has ended. Data bundles of datasets with these documents are listed: words
    and labels of the documents are removed from them. One that is being made follows with the next daily
    sweep. Models keep what they have learned, and bundles of a former release keep labels until they are made
    again, are deleted or expire.
    """

    async def run(connection: Connection, objects: ObjectStore, settings: Settings) -> ConsentSummary:
        from pagemill.housekeeping.consents import delete_consent, measure_consent
        from pagemill.work.predictions import PREDICTION

        summary = await measure_consent(connection, organization_id, consent_id)
        if yes:
            with click.progressbar(length=summary.documents, label="Documents", file=sys.stderr) as bar:
                await delete_consent(
                    connection,
                    objects,
                    organization_id,
                    consent_id,
                    prediction=PREDICTION,
                    patience=settings.erasure_patience,
                    progress=bar.update,
                )
        return summary

    summary = with_stores(data_dir, run)
    if as_json:
        print_json(summary)
        return
    click.echo(
        f"{'deleted' if yes else 'would delete'} {summary.documents} documents "
        f"({summary.content_bytes} bytes) and {summary.predictions} predictions"
    )
    for data_bundle_id in summary.data_bundles:
        click.echo(f"  {data_bundle_id} may hold them")
    if not yes:
        click.echo("nothing was changed; add --yes to delete")
