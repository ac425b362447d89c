"""``pagemill deploy``: the applications, dispatchers and usage counters on a Ray cluster."""

from __future__ import annotations

import asyncio
import logging
import sys

import click


@click.command()
@click.option(
    "--watch",
    is_flag=True,
    help="Stay, and deploy again when the head has come back or something is missing, until SIGTERM.",
)
def deploy(watch: bool) -> None:
    """Deploy this release to the Ray cluster of PAGEMILL_RAY_ADDRESS, with the settings of the environment.

    It runs on a node of the cluster, the head as a rule. The same release and settings restart nothing; a new
    release rolls: replicas and dispatchers start before those end that they replace. The exit status is 1
    when an application does not run, and the last lines say why; the others run nevertheless.

    \b
      pagemill deploy                     # after an upgrade
      pagemill deploy --watch             # for a service that is always there
    """
    if watch:
        from pagemill.stack.deploying import keep_deployed

        logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s %(message)s")
        asyncio.run(keep_deployed(logging.getLogger("pagemill.deploy").info))
        return
    from pagemill.cluster.deploy import main

    sys.exit(main())
