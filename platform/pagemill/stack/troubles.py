"""Troubles of a running stack that leave its parts up: each is one line of ``pagemill status``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from db.job_reports import UnusableModelRow, count_trainings_without_node, list_unusable_models
from db.pool import CONNECTION_ERRORS, connect
from db.statements import Connection
from db.waiting_pages import count_connections
from pagemill.cluster.failures import reason_of
from pagemill.cluster.scaling.asking import APPLICATION_NAME as SCALING
from pagemill.errors import ModelUnusable
from pagemill.settings import Settings

APPLICATION_NAME = "pagemill-status"
MODEL_SECONDS = 86400.0
"""For so long a failed prediction names the training whose weights cannot be used."""
MODELS_SHOWN = 20
NOT_ASKING = "scaling does not ask the database: Serve's controller says why in its log"
MODEL_FAILURES = [error.__name__ for error in ModelUnusable.__subclasses__()]


async def scheduling_troubles(settings: Settings) -> list[str]:
    """Return what is wrong with the figures that replicas follow, and which trainings wait for nodes.

    While Postgres is away there is nothing to add to what is said of Postgres.
    """
    try:
        connection = await connect(settings.database_url, application_name=APPLICATION_NAME)
    except CONNECTION_ERRORS:
        return []
    try:
        asking = await count_connections(connection, application_name=SCALING)
        waiting = await count_trainings_without_node(connection)
    finally:
        await connection.close()
    troubles = [] if asking else [NOT_ASKING]
    if waiting.trainings:
        minutes = (waiting.seconds or 0.0) / 60
        since = f"the first for {minutes:.0f} min"
        troubles.append(f"trainings that wait for a node: {waiting.trainings}, {since}")
    return troubles


async def unusable_models(connection: Connection) -> list[UnusableModelRow]:
    """Return the trainings whose weights have failed predictions lately, the newest first."""
    return await list_unusable_models(
        connection, error_classes=MODEL_FAILURES, seconds=MODEL_SECONDS, limit=MODELS_SHOWN
    )


def application_troubles(applications: Mapping[str, Any]) -> list[str]:
    """Return what Serve says of applications, and of deployments, that are not as they should be.

    A replica that finds no node is among them, with what it needs; ``applications`` is the dashboard's.
    """
    return [
        f"{name}: {_in_one_line(message)}"
        for name, application in sorted(applications.items())
        for message in _messages(application)
    ]


def _in_one_line(message: str) -> str:
    """Return the error of a traceback; all of another message."""
    return reason_of([message]) if "Traceback (most" in message else " ".join(message.split())


def _messages(application: Mapping[str, Any]) -> Iterator[str]:
    deployments = [
        str(deployment["message"])
        for deployment in application.get("deployments", {}).values()
        if deployment.get("status") != "HEALTHY" and deployment.get("message")
    ]
    yield from deployments
    if application["status"] != "RUNNING" and application.get("message") and not deployments:
        yield str(application["message"])
