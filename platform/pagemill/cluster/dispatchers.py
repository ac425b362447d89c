"""The dispatchers of a cluster: those that were declared are started, the others drain.

A successor answers before its predecessor stops claiming, so that there is always somebody who does. An old
dispatcher goes on with what it has begun: a training that takes hours ends where it began, and the process
ends with it. The leases alone fence it, as they fence every other one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from pagemill.cluster.assignment import Assignment, DispatcherName, Share, declaration_of, keys_of_role
from pagemill.cluster.dispatcher import DispatcherActor
from pagemill.pools import coordinator
from pagemill.settings import Settings
from pagemill.work.kinds import Role

PREFIX = "dispatcher"
ANSWER_SECONDS = 10.0
START_SECONDS = 60.0
LISTEN_SECONDS = 20.0
"""Longest wait until the successors hear of jobs; while Postgres is away nobody does."""
POLL_SECONDS = 0.1
DRAIN_SECONDS: dict[Role, float | None] = {
    # The longest that a part of a document may take (applications.clients.READING_SECONDS).
    Role.INTERACTIVE: 660.0,
    Role.LONG: None,
    # A mail or a delivery; what takes longer goes on where it was.
    Role.HOUSEKEEPING: 60.0,
}
"""Time for which the jobs of an old dispatcher may go on; None: until they end."""

logger = logging.getLogger(__name__)


def replace_dispatchers(settings: Settings, release: str) -> None:
    """Have the dispatchers of this release and these settings run, and no others.

    Those that run already with both stay as they are. Otherwise their successors are started, and the old
    ones drain when these answer. Raises RayError when successors of a role do not start: its old ones go on
    then, and the other roles have theirs.
    """
    running = _running(settings.ray_namespace)
    failures: list[RayError] = []
    kept: set[str] = set()
    for role in Role:
        try:
            kept |= {str(name) for name in _declare(role, running, settings, release)}
        except RayError as error:
            logger.exception("the %s dispatchers of release %s do not start", role, release)
            failures.append(error)
            kept |= {str(name) for name in _names(running) if name.role == role}
    for name, dispatcher in running.items():
        if name not in kept:
            _retire(name, dispatcher)
    if failures:
        raise failures[0]


def missing_dispatchers(settings: Settings) -> list[str]:
    """Return the names of the dispatchers that do not run, of whatever generation and release."""
    running = {(name.role, name.number) for name in _names(_running(settings.ray_namespace))}
    declared = [(role, number) for role in Role for number in range(_count(role, settings))]
    return [f"{PREFIX}-{role}-{number}" for role, number in declared if (role, number) not in running]


def _count(role: Role, settings: Settings) -> int:
    """Return how many dispatchers of a role are declared."""
    return settings.dispatchers if role is Role.INTERACTIVE else 1


def _running(namespace: str) -> Mapping[str, Any]:
    """Return the handles of all dispatchers by name."""
    known = ray.util.list_named_actors(all_namespaces=True)
    found = {}
    for one in known:
        if one["namespace"] == namespace and one["name"].startswith(PREFIX):
            try:
                found[one["name"]] = ray.get_actor(one["name"], namespace=namespace)
            except ValueError:
                logger.info("%s has ended meanwhile", one["name"])
    return found


def _names(running: Mapping[str, Any]) -> list[DispatcherName]:
    return [name for name in map(DispatcherName.parse, running) if name is not None]


def _declare(
    role: Role, running: Mapping[str, Any], settings: Settings, release: str
) -> Sequence[DispatcherName]:
    """Have the dispatchers of a role run as they are declared, and return their names. Raises RayError."""
    count = _count(role, settings)
    names = [name for name in _names(running) if name.role == role]
    newest = max((name.generation for name in names), default=0)
    declaration = declaration_of(role, settings, release)
    current = [name for name in names if name.generation == newest]
    if len(current) == count and _fulfil([running[str(name)] for name in current], declaration):
        logger.info("the %s dispatchers are those of this release: they stay", role)
        return current
    successors = [DispatcherName(role, newest + 1, number) for number in range(count)]
    _start(
        [
            Assignment(
                name=name,
                role=role,
                share=Share(name.number, count),
                release=release,
                declaration=declaration,
                keys=keys_of_role(role, settings),
            )
            for name in successors
        ],
        settings.ray_namespace,
    )
    return successors


def _fulfil(dispatchers: Sequence[Any], declaration: str) -> bool:
    """Return whether dispatchers answer that they are as declared."""
    try:
        answers = ray.get([one.fulfils.remote(declaration) for one in dispatchers], timeout=ANSWER_SECONDS)
    except (RayError, AttributeError) as error:
        logger.warning("a dispatcher does not answer: %s", error)
        return False
    return all(answers)


def _start(assignments: Sequence[Assignment], namespace: str) -> None:
    """Start dispatchers and return when they answer. Raises RayError, and leaves none behind then."""
    started: list[Any] = [
        ray.remote(DispatcherActor)
        .options(
            name=str(one.name),
            namespace=namespace,
            lifetime="detached",
            max_restarts=-1,
            **coordinator().actor_options,
        )
        .remote(one)
        for one in assignments
    ]
    try:
        ray.get([one.status.remote() for one in started], timeout=START_SECONDS)
        statuses = _wait_until_listening(started)
    except RayError:
        for one in started:
            ray.kill(one, no_restart=True)
        raise
    for name, status in zip(assignments, statuses, strict=True):
        logger.info("%s works: %s", name.name, status)


def _wait_until_listening(dispatchers: Sequence[Any]) -> list[dict[str, Any]]:
    deadline = time.monotonic() + LISTEN_SECONDS
    while True:
        statuses: list[dict[str, Any]] = ray.get(
            [one.status.remote() for one in dispatchers], timeout=ANSWER_SECONDS
        )
        if all(status["listening"] for status in statuses) or time.monotonic() > deadline:
            return statuses
        time.sleep(POLL_SECONDS)


def _retire(name: str, dispatcher: Any) -> None:
    """Have a dispatcher drain; one that cannot is ended, and its jobs are left to their leases."""
    known = DispatcherName.parse(name)
    role = Role(known.role) if known is not None and known.role in set(Role) else None
    try:
        ray.get(dispatcher.drain.remote(DRAIN_SECONDS[role] if role else None), timeout=ANSWER_SECONDS)
    except (RayError, AttributeError) as error:
        logger.warning("%s cannot drain and is ended: %s", name, error)
        ray.kill(dispatcher, no_restart=True)
    else:
        logger.info("%s claims nothing more and ends with its last job", name)
