"""``pagemill trainings``: list, show, follow, approve and cancel trainings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import (
    age_since,
    data_directory_option,
    json_option,
    print_json,
    printable,
    with_database,
)
from pagemill.ids import TrainingId

if TYPE_CHECKING:
    from db.trainings import TrainingStatus
    from pagemill.ids import OrganizationId
    from pagemill.work.training_administration import TrainingReport

STATUSES = (
    "waiting-for-approval",
    "preparing",
    "pending",
    "running",
    "running-final-evaluation",
    "succeeded",
    "failed",
    "cancelled",
)
COLOURS = {"failed": "red", "running": "yellow", "succeeded": "green", "waiting-for-approval": "cyan"}


@click.group()
def trainings() -> None:
    """List, show, follow, approve and cancel trainings."""


@trainings.command(name="list")
@click.option("--status", "statuses", multiple=True, type=click.Choice(STATUSES), help="May be repeated.")
@click.option("--organization", "organization_id", metavar="ID")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@data_directory_option
def list_trainings(
    statuses: tuple[TrainingStatus, ...],
    organization_id: OrganizationId | None,
    limit: int,
    as_json: bool,
    data_dir: Path,
) -> None:
    """List trainings, the newest first.

    \b
      pagemill trainings list --status waiting-for-approval
    """
    from pagemill.work import training_administration

    reports = with_database(
        data_dir,
        lambda connection: training_administration.list_trainings(
            connection, statuses=statuses, organization_id=organization_id, limit=limit
        ),
    )
    if as_json:
        print_json(reports)
    else:
        _show_all(reports)


@trainings.command()
@click.argument("training_id", metavar="TRAINING")
@json_option
@data_directory_option
def show(training_id: str, as_json: bool, data_dir: Path) -> None:
    """Show a training: its progress, its evaluation, and why it has failed."""
    from pagemill.work import training_administration

    report = with_database(
        data_dir,
        lambda connection: training_administration.find_training(connection, TrainingId(training_id)),
    )
    _show_one(report, as_json)


@trainings.command()
@click.argument("training_id", metavar="TRAINING")
@json_option
@data_directory_option
def approve(training_id: str, as_json: bool, data_dir: Path) -> None:
    """Let a training begin that was created with `dataScientistAssistance`."""
    from pagemill.work import training_administration

    report = with_database(
        data_dir, lambda connection: training_administration.approve(connection, TrainingId(training_id))
    )
    _show_one(report, as_json)


@trainings.command()
@click.argument("training_id", metavar="TRAINING")
@json_option
@data_directory_option
def cancel(training_id: str, as_json: bool, data_dir: Path) -> None:
    """End a training that waits for its approval, waits for a machine, or runs."""
    from pagemill.work import training_administration

    report = with_database(
        data_dir, lambda connection: training_administration.cancel(connection, TrainingId(training_id))
    )
    _show_one(report, as_json)


def _show_all(reports: list[TrainingReport]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("training", "organization", "name", "status", "age", "detail"):
        table.add_column(column, overflow="fold")
    for report in reports:
        table.add_row(
            report.id,
            report.organization_id.removeprefix("las:organization:"),
            printable(report.name or ""),
            f"[{COLOURS.get(report.status, 'default')}]{report.status}[/]",
            age_since(report.created_time),
            printable(_detail(report)),
        )
    Console().print(table)


def _detail(report: TrainingReport) -> str:
    """Return what there is to say of a training in its state."""
    if report.error is not None:
        return report.error
    accuracy = report.evaluation.get("accuracy")
    return f"accuracy {accuracy:.3f}" if isinstance(accuracy, float) else ""


def _show_one(report: TrainingReport, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    import msgspec

    for name, value in msgspec.to_builtins(report).items():
        if value not in (None, {}):
            click.echo(f"{name:26} {printable(str(value))}")
