"""``pagemill mail-intake``: take mail that starts workflows, and see what became of it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import data_directory_option, json_option, print_json, with_database

if TYPE_CHECKING:
    from db.workflow_mail import MailOutcome, WorkflowMailRow
    from pagemill.ids import WorkflowId


@click.group(name="mail-intake")
def mail_intake() -> None:
    """Take mail that starts workflows, and see what became of it.

    A workflow with an `emailConfig` has an address. Each PDF, JPEG, PNG or TIFF that is attached to a mail to
    it starts an execution.
    """


@mail_intake.command()
def run() -> None:
    """Run the SMTP server in the foreground until SIGTERM; `pagemill up` does so by itself.

    It takes mail to addresses of workflows, and nothing else: it relays nothing, and nobody signs in. Several
    may run at a time. It needs the database, the objects and the keys of the secrets, and no Ray.

    \b
      PAGEMILL_MAIL_INTAKE_PORT         25, or a port that 25 is forwarded to
      PAGEMILL_MAIL_INTAKE_HOST         0.0.0.0 for mail from everywhere
      PAGEMILL_MAIL_DOMAIN              domain whose MX record leads here
      PAGEMILL_MAIL_INTAKE_CERTIFICATE  for STARTTLS, with PAGEMILL_MAIL_INTAKE_KEY
      PAGEMILL_DATABASE_URL, PAGEMILL_OBJECTS_URL, PAGEMILL_SECRET_KEYS
    """
    from pagemill.mail_intake.server import serve
    from pagemill.settings import load_settings

    asyncio.run(serve(load_settings(os.environ)))


@mail_intake.command(name="list")
@click.option("--workflow", "workflow_id", metavar="ID", help="Only mail to this workflow.")
@click.option(
    "--outcome",
    type=click.Choice(["started", "ignored", "refused"]),
    help="Only mail that started executions, was ignored, or was refused.",
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@data_directory_option
def list_mail(
    workflow_id: WorkflowId | None, outcome: MailOutcome | None, limit: int, as_json: bool, data_dir: Path
) -> None:
    """List the mail of the last 30 days, the newest first, with the reason when nothing was started."""
    from db import workflow_mail

    rows = with_database(
        data_dir,
        lambda connection: workflow_mail.list_mail(
            connection, workflow_id=workflow_id, outcome=outcome, limit=limit
        ),
    )
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            click.echo(_line_of(row))


def _line_of(row: WorkflowMailRow) -> str:
    words = [
        f"{row.received_time:%Y-%m-%d %H:%M:%S}",
        row.workflow_id,
        f"{row.outcome} {row.executions}" if row.outcome == "started" else row.outcome,
        row.origin or "-",
        row.message_id or "-",
        row.detail or "",
    ]
    return "  ".join(words).rstrip()
