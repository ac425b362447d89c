"""``pagemill jobs``: list, show, retry and cancel jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import age_since, data_directory_option, json_option, print_json, with_database

if TYPE_CHECKING:
    from db.jobs import JobState
    from pagemill.ids import OrganizationId
    from pagemill.jobs.job import KindName
    from pagemill.jobs.job_administration import JobReport

STATES = ("queued", "running", "succeeded", "failed", "cancelled")
COLOURS = {"failed": "red", "running": "yellow", "succeeded": "green"}


class KindParameter(click.ParamType[str]):
    """Name of a kind of job. The kinds are imported only when a command needs them."""

    name = "kind"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name. Fails with the names of all kinds when there is none of this name."""
        from pagemill.work.kinds import KINDS

        if value not in KINDS.names:
            self.fail(f"{value!r} is not one of {', '.join(KINDS.names)}", param, ctx)
        return value


@click.group()
def jobs() -> None:
    """List, show, retry and cancel jobs.

    A job is named by its id, or by the id of what it works for (a prediction, bundle, training, ...).
    """


@jobs.command(name="list")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="May be repeated.")
@click.option("--kind", type=KindParameter(), help="See `pagemill jobs kinds`.")
@click.option("--organization", "organization_id", metavar="ID")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@data_directory_option
def list_jobs(
    states: tuple[JobState, ...],
    kind: KindName | None,
    organization_id: OrganizationId | None,
    limit: int,
    as_json: bool,
    data_dir: Path,
) -> None:
    """List jobs, the newest first.

    \b
      pagemill jobs list --state failed --kind training
    """
    from pagemill.jobs import job_administration

    reports = with_database(
        data_dir,
        lambda connection: job_administration.list_jobs(
            connection, states=states, kind=kind, organization_id=organization_id, limit=limit
        ),
    )
    if as_json:
        print_json(reports)
    else:
        _show_all(reports)


@jobs.command()
@click.argument("name", metavar="JOB")
@json_option
@data_directory_option
def show(name: str, as_json: bool, data_dir: Path) -> None:
    """Show everything about one job, and whether trying again may help."""
    from pagemill.jobs import job_administration

    _show_one(
        with_database(data_dir, lambda connection: job_administration.find_job(connection, name)), as_json
    )


@jobs.command()
@click.argument("name", metavar="JOB")
@json_option
@data_directory_option
def retry(name: str, as_json: bool, data_dir: Path) -> None:
    """Queue a failed job again; what it takes of the plan is counted again."""
    from pagemill.jobs import job_administration
    from pagemill.work.kinds import KINDS

    report = with_database(data_dir, lambda connection: job_administration.retry_job(connection, KINDS, name))
    _show_one(report, as_json)


@jobs.command()
@click.argument("name", metavar="JOB")
@json_option
@data_directory_option
def cancel(name: str, as_json: bool, data_dir: Path) -> None:
    """Cancel a job that waits or runs; nothing of it is counted."""
    from pagemill.jobs import job_administration
    from pagemill.work.kinds import KINDS

    report = with_database(
        data_dir, lambda connection: job_administration.cancel_job(connection, KINDS, name)
    )
    _show_one(report, as_json)


@jobs.command()
def kinds() -> None:
    """List the kinds of jobs and what they do."""
    from pagemill.work.kinds import KINDS

    for kind in KINDS:
        click.echo(f"{kind.name:16} {kind.description}")


def _show_all(reports: list[JobReport]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("job", "kind", "organization", "state", "attempt", "age", "error"):
        table.add_column(column, overflow="fold")
    for report in reports:
        table.add_row(
            report.id,
            report.kind,
            report.organization_id.removeprefix("las:organization:"),
            f"[{COLOURS.get(report.state, 'default')}]{report.state}[/]",
            f"{report.attempt}/{report.maximum_attempts}",
            age_since(report.created_time),
            _error(report),
        )
    Console().print(table)


def _show_one(report: JobReport, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    import msgspec

    for name, value in msgspec.to_builtins(report).items():
        if value is not None:
            click.echo(f"{name:16} {value}")


def _error(report: JobReport) -> str:
    if report.error_class is None:
        return ""
    again = " (trying again may help)" if report.retryable else ""
    return f"{report.error_class}: {report.error_message}{again}"
