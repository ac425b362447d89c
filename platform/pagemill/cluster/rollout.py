"""Roll-out of a declaration by Serve, followed until each application runs or has failed."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve._private.common import ReplicaState
from ray.serve.context import _get_global_client
from ray.serve.schema import ApplicationStatus, ServeDeploySchema

from pagemill.cluster.failures import reason_of
from pagemill.cluster.serve_configuration import (
    APPLICATIONS,
    ATTEMPT,
    RELEASE,
    ServedApplication,
    serve_configuration,
)
from pagemill.settings import Settings

ROLL_OUT_SECONDS = 1800.0
"""Longer than a node of the cloud takes, and than a replica that is replaced may go on with what it does."""
SURGE_SECONDS = 120.0
"""For so long a replica waits for room beside its predecessor; afterwards the predecessor ends first."""
CONTROLLER_SECONDS = 60.0
POLL_SECONDS = 0.5
NO_ROOM = "to be scheduled"
"""Part of what Serve says of a deployment whose replicas have waited 30 s for room."""

logger = logging.getLogger(__name__)


def roll_out(
    settings: Settings,
    release: str,
    applications: Sequence[ServedApplication] = APPLICATIONS,
    *,
    surge_seconds: float = SURGE_SECONDS,
) -> dict[str, str]:
    """Have Serve run this release of the applications; return why some do not, by their names.

    The same release and settings restart nothing. One application's failure does not end the others, nor the
    replicas that it had before. Raises RayError when Ray is lost.
    """
    serve.start(proxy_location="Disabled", logging_config={"enable_access_log": False})
    client: Any = _get_global_client()
    before = client.get_serve_details()["applications"]
    if {_environment(one).get(RELEASE, release) for one in before.values()} - {release}:
        _restart_controller(client)
    attempts = {name: _attempts(details, release) for name, details in before.items()}

    def declare(*, surge: bool) -> ServeDeploySchema:
        return serve_configuration(settings, release, applications, attempts=attempts, surge=surge)

    client.deploy_apps(declare(surge=True))
    return _follow(
        [application.name for application in applications],
        without_surge=lambda: client.deploy_apps(declare(surge=False)),
        surge_seconds=surge_seconds,
    )


def _follow(
    names: Sequence[str], *, without_surge: Callable[[], None], surge_seconds: float
) -> dict[str, str]:
    """Wait until each application runs or has failed; return the reasons of those that have."""
    failures: dict[str, str] = {}
    began = time.monotonic()
    waiting, surging = set(names), True
    while waiting:
        found = serve.status().applications
        for name in sorted(waiting & found.keys()):
            if found[name].status == ApplicationStatus.RUNNING:
                waiting.remove(name)
            elif found[name].status == ApplicationStatus.DEPLOY_FAILED:
                waiting.remove(name)
                failures[name] = failure_reason(found[name])
        passed = time.monotonic() - began
        if (
            surging
            and passed > surge_seconds
            and any(_lacks_room(found[name]) for name in waiting & found.keys())
        ):
            surging = False
            logger.warning("no room for new replicas beside the old ones of %s", ", ".join(sorted(waiting)))
            without_surge()
        if waiting and passed > ROLL_OUT_SECONDS:
            return failures | {name: f"does not run after {ROLL_OUT_SECONDS:g} s" for name in waiting}
        time.sleep(POLL_SECONDS if waiting else 0.0)
    return failures


def failure_reason(application: Any) -> str:
    """Return why an application failed, of what Serve says of it and of its deployments."""
    messages = [str(deployment.message) for deployment in application.deployments.values()]
    return reason_of([*messages, str(application.message)])


def _lacks_room(application: Any) -> bool:
    """Return whether new replicas wait for a place while old ones run."""
    return any(
        NO_ROOM in deployment.message and deployment.replica_states.get(ReplicaState.RUNNING)
        for deployment in application.deployments.values()
    )


def _environment(details: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the environment that was declared of an application."""
    declared = details.get("deployed_app_config") or {}
    environment: Mapping[str, str] = (declared.get("runtime_env") or {}).get("env_vars") or {}
    return environment


def _attempts(details: Mapping[str, Any], release: str) -> int:
    """Return how often this release of an application has failed.

    Serve does not try again what is declared as before.
    """
    environment = _environment(details)
    if environment.get(RELEASE) != release:
        return 0
    failed = bool(details["status"] == ApplicationStatus.DEPLOY_FAILED)
    return int(environment.get(ATTEMPT, "0")) + failed


def _restart_controller(client: Any) -> None:
    """Have the controller import the new release's policies; replicas and their callers go on without it."""
    ray.kill(client._controller, no_restart=False)
    deadline = time.monotonic() + CONTROLLER_SECONDS
    while True:
        with contextlib.suppress(RayError):
            ray.get(client._controller.list_serve_statuses.remote(), timeout=CONTROLLER_SECONDS)
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"Serve's controller did not answer within {CONTROLLER_SECONDS:g} s")
        time.sleep(POLL_SECONDS)
