"""The ``pagemill`` command. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from pagemill.commands.audit import audit
from pagemill.commands.backup import backup, restore
from pagemill.commands.consents import consents
from pagemill.commands.datasets import datasets
from pagemill.commands.deploy import deploy
from pagemill.commands.deployment_environments import deployment_environments
from pagemill.commands.executions import executions
from pagemill.commands.jobs import jobs
from pagemill.commands.keys import keys
from pagemill.commands.mail_intake import mail_intake
from pagemill.commands.migrate import migrate
from pagemill.commands.models import models
from pagemill.commands.node import node
from pagemill.commands.objects import objects
from pagemill.commands.options import data_directory_option, open_directory
from pagemill.commands.organizations import organizations
from pagemill.commands.people import people
from pagemill.commands.plans import plans
from pagemill.commands.roles import roles
from pagemill.commands.secrets import secrets
from pagemill.commands.traces import traces
from pagemill.commands.trainings import trainings
from pagemill.commands.webhooks import webhooks
from pagemill.errors import PagemillError
from pagemill.release import release

if TYPE_CHECKING:
    from db.dispatchers import DispatcherRow
    from pagemill.stack.status import StackReport

MARKS = {"up": "green", "down": "red", "off": "dim"}


class _Group(click.Group):
    """Group of commands that prints errors meant for the operator as one line."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; print its error and exit with 1."""
        try:
            return super().invoke(ctx)
        except PagemillError as error:
            _fail(error.message)
        except PermissionError as error:
            _fail(f"{error.strerror}: {error.filename}")


def _fail(message: str) -> NoReturn:
    click.echo(f"pagemill: {message}", err=True)
    sys.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(release())
def main() -> None:
    """Pages go in, fields come out: a self-hosted job platform for documents.

    \b
    Start a stack, and in another terminal point the official clients at it:
      pagemill up
      eval "$(pagemill env)"
      las documents list

    Everything lies in one data directory (.pagemill); a second `up` finds it again.
    """


@main.command()
@data_directory_option
@click.option("--port", default=8443, show_default=True, type=click.IntRange(1, 65535), help="HTTPS port.")
@click.option(
    "--without-ray",
    is_flag=True,
    help="Only Postgres, objects and the API: what is submitted waits until Ray is there.",
)
def up(data_dir: Path, port: int, without_ray: bool) -> None:
    """Run everything in the foreground until Ctrl-C or `pagemill down`.

    Prints "ready https://localhost:PORT" once the API answers and the apps are deployed. Parts that die are
    started again. Logs are in DATA_DIR/logs.

    \b
    A part is replaced by a real one through the environment:
      PAGEMILL_DATABASE_URL   postgresql://user:password@host/database
      PAGEMILL_OBJECTS_URL    s3://bucket/prefix, with PAGEMILL_S3_ENDPOINT_URL,
                              PAGEMILL_S3_ACCESS_KEY_ID, PAGEMILL_S3_SECRET_ACCESS_KEY
      PAGEMILL_RAY_ADDRESS    host:port of a Ray head (with RAY_AUTH_TOKEN_PATH)

    Mail that starts workflows is taken where PAGEMILL_MAIL_INTAKE_PORT is set: `pagemill mail-intake --help`.
    """
    from rich.console import Console

    from pagemill.stack.progress import ConsoleProgress
    from pagemill.stack.stack_configuration import StackConfiguration, free_metrics_port
    from pagemill.stack.supervisor import Supervisor

    directory = open_directory(data_dir)
    directory.prepare()
    configuration = StackConfiguration(
        directory, dict(os.environ), port, with_ray=not without_ray, metrics_port=free_metrics_port()
    )
    with directory.lock():
        asyncio.run(Supervisor(configuration, ConsoleProgress(Console())).run())


@main.command()
@data_directory_option
def down(data_dir: Path) -> None:
    """Stop the stack of a data directory and wait until nothing of it is left."""
    from pagemill.stack.stopping import stop_stack

    click.echo("stopped" if stop_stack(open_directory(data_dir)) else "nothing was running")


@main.command()
@data_directory_option
@click.option("--ray", "for_ray", is_flag=True, help="For Ray's own commands, such as `ray status`.")
def env(data_dir: Path, for_ray: bool) -> None:
    """Print shell exports for the official clients, curl and Node.

    \b
      eval "$(pagemill env)"
      eval "$(pagemill env --ray)"
    """
    from pagemill.stack.client_environment import client_environment, ray_environment, shell_exports

    variables = ray_environment if for_ray else client_environment
    click.echo(shell_exports(variables(open_directory(data_dir))))


@main.command()
@data_directory_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(data_dir: Path, as_json: bool) -> None:
    """Ask every part how it is. The exit status is 1 when one is down, or nothing runs."""
    import msgspec

    from pagemill.stack.status import examine

    report = asyncio.run(examine(open_directory(data_dir)))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        _show(report)
    sys.exit(0 if report.healthy else 1)


main.add_command(audit)
main.add_command(backup)
main.add_command(restore)
main.add_command(deployment_environments)
main.add_command(consents)
main.add_command(datasets)
main.add_command(deploy)
main.add_command(executions)
main.add_command(jobs)
main.add_command(keys)
main.add_command(mail_intake)
main.add_command(migrate)
main.add_command(models)
main.add_command(node)
main.add_command(objects)
main.add_command(organizations)
main.add_command(people)
main.add_command(plans)
main.add_command(roles)
main.add_command(secrets)
main.add_command(traces)
main.add_command(trainings)
main.add_command(webhooks)


def _show(report: StackReport) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("part", "status", "detail", "restarts"):
        # An address that is cut is none.
        table.add_column(column, overflow="fold")
    for name, part in report.parts.items():
        mark = f"[{MARKS[part.status]}]{part.status}[/]"
        table.add_row(name, mark, part.detail, str(part.restarts or ""))
    if report.queue is not None:
        table.add_row("queue", "", f"{report.queue.queued} waiting, {report.queue.running} running", "")
    if report.sandbox is not None:
        table.add_row("sandbox", "", report.sandbox.detail, "")
    for exporter in report.metrics:
        mark = f"[{MARKS[exporter.status]}]{exporter.status}[/]"
        table.add_row("metrics", mark, f"{exporter.url}, of {exporter.of}", "")
    for dispatcher in report.dispatchers:
        table.add_row(dispatcher.name, _state_of(dispatcher), _work_of(dispatcher), "")
    for model in report.unusable_models:
        failed = f"{model.jobs} predictions have failed, the last at {model.last:%Y-%m-%d %H:%M} UTC"
        table.add_row(model.training_id, f"[red]{model.error_class}[/]", failed, "")
    Console().print(table)


def _state_of(dispatcher: DispatcherRow) -> str:
    if dispatcher.draining:
        return "draining"
    return "listening" if dispatcher.listening else "polling"


def _work_of(dispatcher: DispatcherRow) -> str:
    jobs = (
        f"{dispatcher.running.get(kind, 0)} of {slots} {kind}"
        for kind, slots in dispatcher.slots.items()
        if slots
    )
    return f"{', '.join(jobs)}; {dispatcher.owner}"


if __name__ == "__main__":
    main()
