"""``pagemill executions``: list and show executions of workflows, try failed ones again, and end others."""

from __future__ import annotations

from datetime import UTC, datetime
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

if TYPE_CHECKING:
    from db.workflow_executions import WorkflowExecutionStatus
    from pagemill.ids import OrganizationId, WorkflowExecutionId, WorkflowId
    from pagemill.workflows.execution_reports import ExecutionReport, ExecutionStory

STATUSES = ("running", "succeeded", "failed", "rejected", "retry", "error", "completed")
COLOURS = {"failed": "red", "error": "red", "retry": "red", "running": "yellow", "succeeded": "green"}
TIMES = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


@click.group()
def executions() -> None:
    """List and show executions of workflows, try failed ones again, and end others."""


@executions.command(name="list")
@click.option("--status", "statuses", multiple=True, type=click.Choice(STATUSES), help="May be repeated.")
@click.option("--organization", "organization_id", metavar="ID")
@click.option("--workflow", "workflow_id", metavar="ID")
@click.option("--since", type=click.DateTime(TIMES), help="Only those that have started since then (UTC).")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@data_directory_option
def list_executions(
    statuses: tuple[WorkflowExecutionStatus, ...],
    organization_id: OrganizationId | None,
    workflow_id: WorkflowId | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
    data_dir: Path,
) -> None:
    """List executions, the newest first.

    \b
      pagemill executions list --status retry --since 2026-11-01
    """
    from pagemill.workflows import execution_reports

    reports = with_database(
        data_dir,
        lambda connection: execution_reports.list_executions(
            connection,
            organization_id=organization_id,
            workflow_id=workflow_id,
            statuses=statuses,
            since=since and since.replace(tzinfo=UTC),
            limit=limit,
        ),
    )
    if as_json:
        print_json(reports)
    else:
        _show_all(reports)


@executions.command()
@click.argument("execution_id", metavar="EXECUTION")
@json_option
@data_directory_option
def show(execution_id: WorkflowExecutionId, as_json: bool, data_dir: Path) -> None:
    """Tell an execution from its beginning: its steps, who claimed them, and the last lines of its logs."""
    from pagemill.workflows import execution_reports

    _show_one(
        with_database(
            data_dir, lambda connection: execution_reports.find_execution(connection, execution_id)
        ),
        as_json,
    )


@executions.command()
@click.argument("execution_id", metavar="EXECUTION")
@json_option
@data_directory_option
def retry(execution_id: WorkflowExecutionId, as_json: bool, data_dir: Path) -> None:
    """Let an execution that has failed, or waits after a failure, go on in the state that failed."""
    from pagemill.workflows import execution_administration

    _show_one(
        with_database(
            data_dir, lambda connection: execution_administration.retry_execution(connection, execution_id)
        ),
        as_json,
    )


@executions.command()
@click.argument("execution_id", metavar="EXECUTION")
@json_option
@data_directory_option
def cancel(execution_id: WorkflowExecutionId, as_json: bool, data_dir: Path) -> None:
    """End an execution that runs or waits as failed, with the steps that still run."""
    from pagemill.workflows import execution_administration

    _show_one(
        with_database(
            data_dir, lambda connection: execution_administration.cancel_execution(connection, execution_id)
        ),
        as_json,
    )


def _show_all(reports: list[ExecutionReport]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for column in ("execution", "organization", "workflow", "status", "state", "age", "error"):
        table.add_column(column, overflow="fold")
    for report in reports:
        table.add_row(
            report.id,
            report.organization_id.removeprefix("las:organization:"),
            Text(printable(report.workflow_name or report.workflow_id)),
            Text(report.status, style=COLOURS.get(report.status, "default")),
            Text(printable(report.state or "")),
            age_since(report.start_time),
            Text(printable(report.error or "")),
        )
    Console().print(table)


def _show_one(story: ExecutionStory, as_json: bool) -> None:
    """Print members, the timeline and the last lines, with ids that can be copied."""
    if as_json:
        print_json(story)
        return
    from pagemill.workflows.execution_reports import timeline

    for name in ("id", "organization_id", "workflow_id", "workflow_name", "status", "state", "error"):
        if (value := getattr(story, name)) is not None:
            click.echo(f"{name:16} {printable(value)}")
    click.echo()
    for moment in timeline(story):
        click.echo(f"{moment.time:%Y-%m-%d %H:%M:%S}  {printable(moment.text)}")
    click.echo()
    for line in story.last_lines:
        of = f"{line.transition_execution_id}: " if line.transition_execution_id else ""
        click.echo(f"{line.time:%Y-%m-%d %H:%M:%S}  {of}{printable(line.message)}")
