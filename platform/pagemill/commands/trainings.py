"""``pagemill trainings``: list, show, follow, plot, approve and cancel trainings."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pagemill.commands.options import (
    age_since,
    data_directory_option,
    json_option,
    print_json,
    printable,
    with_database,
)
from pagemill.errors import BadRequest
from pagemill.ids import TrainingId

if TYPE_CHECKING:
    from db.statements import Connection
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
FOLLOW_SECONDS = 1.0
COLOURS = {"failed": "red", "running": "yellow", "succeeded": "green", "waiting-for-approval": "cyan"}


@click.group()
def trainings() -> None:
    """List, show, follow, plot, approve and cancel trainings."""


@trainings.command(name="list")
@click.option(
    "--status",
    "statuses",
    metavar="STATUS",
    multiple=True,
    type=click.Choice(STATUSES),
    help=f"One of {', '.join(STATUSES)}; may be repeated.",
)
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
@data_directory_option
def follow(training_id: str, data_dir: Path) -> None:
    """Show a progress bar until a training has ended. The exit status is 1 unless it has succeeded."""
    report = with_database(data_dir, lambda connection: _follow(connection, TrainingId(training_id)))
    click.echo(f"{report.status}  {printable(_detail(report))}".rstrip())
    sys.exit(0 if report.status == "succeeded" else 1)


@trainings.command()
@click.argument("training_id", metavar="TRAINING")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A name that ends in .svg or .png (default: learning-curve.svg).",
    default="learning-curve.svg",
)
@data_directory_option
def plot(training_id: str, out: Path, data_dir: Path) -> None:
    """Plot the learning curve of a training: its loss, and the F1 on documents that are held out.

    \b
      pagemill trainings plot TRAINING --out curve.png
    """
    from pagemill.line_chart import CANVASES, Panel, draw_chart
    from pagemill.work import training_administration

    if out.suffix not in CANVASES:
        raise BadRequest(f"--out: a name ends in {' or '.join(CANVASES)}")
    curve = with_database(
        data_dir,
        lambda connection: training_administration.find_curve(connection, TrainingId(training_id)),
    )
    panels = [
        Panel("loss", [(point.step, point.loss) for point in curve], "#b03060"),
        Panel("F1", [(point.step, point.f1) for point in curve if point.f1 is not None], "#1f6fb4"),
    ]
    out.write_bytes(draw_chart(panels, "steps", out.suffix))
    click.echo(f"{out}  {len(curve)} epochs")


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


async def _follow(connection: Connection, training_id: TrainingId) -> TrainingReport:
    """Return the training when it has ended; show its progress meanwhile. Raises NotFound."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    from pagemill.work.training_administration import ENDED, find_training

    report = await find_training(connection, training_id)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)
        while report.status not in ENDED:
            progress = report.progress or {}
            bar.update(
                task,
                description=f"{report.status:10} {_figures(progress)}",
                total=progress.get("steps"),
                completed=progress.get("step", 0),
            )
            await asyncio.sleep(FOLLOW_SECONDS)
            report = await find_training(connection, training_id)
    return report


def _figures(progress: Mapping[str, Any]) -> str:
    """Return the loss, F1 and the time left, as far as they are known."""
    texts = {"loss": "loss {:.3f}", "f1": "F1 {:.3f}", "secondsLeft": "{:.0f} s left"}
    return ", ".join(
        text.format(progress[name]) for name, text in texts.items() if progress.get(name) is not None
    )


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
    if report.status.startswith("running") and report.progress:
        return f"{report.progress['step']} of {report.progress['steps']} steps, {_figures(report.progress)}"
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
