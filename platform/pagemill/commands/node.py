"""``pagemill node``: Ray on one node of a cluster."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import click

directory_option = click.option(
    "--directory",
    default="~/pagemill/node",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the node's process number and log.",
)
restart_option = click.option(
    "--restart",
    is_flag=True,
    help="Start Ray again when it ends by itself: the head, which nobody replaces.",
)
notices_option = click.option(
    "--spot-notices",
    metavar="URL",
    help="Metadata service of AWS, asked every five seconds whether it takes this spot machine away.",
)
arguments_argument = click.argument("arguments", nargs=-1, type=click.UNPROCESSED)


@click.group()
def node() -> None:
    """Run Ray on this machine as a node of a cluster; `cluster.yaml` does so.

    \b
      pagemill node start --restart -- --head --port=6379       # on the head
      pagemill node start -- --address=HEAD:6379                # on another node
      pagemill node stop
    """


@node.command()
@directory_option
@restart_option
@notices_option
@arguments_argument
def start(directory: Path, restart: bool, spot_notices: str | None, arguments: tuple[str, ...]) -> None:
    """Start Ray in the background with the ARGUMENTS of `ray start`, and return when it has joined.

    What this command started before is stopped first; another Ray of the machine is left alone.
    """
    from pagemill.stack.ray_node import NodeDirectory, start_node, watcher_command

    files = NodeDirectory(directory)
    start_node(files, watcher_command(arguments, notices=spot_notices, restarts=restart))
    click.echo(f"Ray runs, its output is in {files.log}")


@node.command()
@restart_option
@notices_option
@arguments_argument
def run(restart: bool, spot_notices: str | None, arguments: tuple[str, ...]) -> None:
    """Run Ray in the foreground with the ARGUMENTS of `ray start`, for a service manager.

    On SIGTERM, and when a spot machine will be taken away, the node drains for at most
    RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S seconds, and ends.
    """
    from pagemill.stack.ray_node import RayNode

    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s %(message)s")
    say = logging.getLogger("pagemill.node").info

    async def watch() -> int:
        return await RayNode(arguments, notices=spot_notices, restarts=restart, say=say).run()

    sys.exit(asyncio.run(watch()))


@node.command()
@directory_option
@click.option("--seconds", default=120.0, show_default=True, help="Time to drain; then it is killed.")
def stop(directory: Path, seconds: float) -> None:
    """Stop what `pagemill node start` started on this machine."""
    from pagemill.stack.ray_node import NodeDirectory, stop_node

    click.echo("stopped" if stop_node(NodeDirectory(directory), seconds) else "nothing was running")
