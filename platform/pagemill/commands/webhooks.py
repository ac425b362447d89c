"""``pagemill webhooks``: list webhooks and their attempts, and deliver events again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import data_directory_option, with_database

if TYPE_CHECKING:
    from pagemill.ids import OrganizationId
    from pagemill.notices.webhook_administration import AttemptReport, WebhookReport

json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


@click.group()
def webhooks() -> None:
    """List webhooks and their attempts, and deliver events again."""


@webhooks.command(name="list")
@click.option("--organization", "organization_id", metavar="ID")
@json_option
@data_directory_option
def list_webhooks(organization_id: OrganizationId | None, as_json: bool, data_dir: Path) -> None:
    """List webhooks, with the numbers of deliveries that wait, failed and succeeded in the last 30 days."""
    from pagemill.notices import webhook_administration

    reports = with_database(
        data_dir, lambda connection: webhook_administration.list_webhooks(connection, organization_id)
    )
    if as_json:
        _print_json(reports)
    else:
        _show_webhooks(reports)


@webhooks.command()
@click.argument("name", metavar="WEBHOOK|DELIVERY")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@data_directory_option
def attempts(name: str, limit: int, as_json: bool, data_dir: Path) -> None:
    """List the attempts of a webhook, or of one delivery, the newest first."""
    from pagemill.notices import webhook_administration

    reports = with_database(
        data_dir, lambda connection: webhook_administration.list_attempts(connection, name, limit)
    )
    if as_json:
        _print_json(reports)
    else:
        _show_attempts(reports)


@webhooks.command()
@click.argument("name", metavar="WEBHOOK|DELIVERY")
@data_directory_option
def replay(name: str, data_dir: Path) -> None:
    """Deliver again: one delivery, or all failed ones of a webhook. They keep their webhook-id."""
    from pagemill.notices import webhook_administration

    for delivery_id in with_database(
        data_dir, lambda connection: webhook_administration.replay(connection, name)
    ):
        click.echo(delivery_id)


def _print_json(content: object) -> None:
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(content)).decode())


def _show_webhooks(reports: list[WebhookReport]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("webhook", "organization", "url", "status", "pending", "failed", "succeeded"):
        table.add_column(column, overflow="fold", no_wrap=column == "webhook")
    for report in reports:
        table.add_row(
            report.id,
            report.organization_id.removeprefix("las:organization:"),
            report.url,
            report.status,
            *(str(number) for number in (report.pending, report.failed, report.succeeded)),
        )
    Console().print(table)


def _show_attempts(reports: list[AttemptReport]) -> None:
    """Print a line for each attempt, with ids that can be copied."""
    for report in reports:
        answer = report.error or f"answered {report.status_code}"
        again = report.next_attempt_time
        click.echo(
            f"{report.created_time:%Y-%m-%d %H:%M:%S}  {report.delivery_id}  {report.event_type}  {answer}"
            + ("" if again is None else f", next attempt {again:%Y-%m-%d %H:%M:%S}")
        )
