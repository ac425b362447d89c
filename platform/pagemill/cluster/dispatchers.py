"""The dispatchers of a cluster: those that were declared are started, the others drain.

A successor answers before its predecessor stops claiming, so that there is always somebody who does. An old
dispatcher goes on with what it has begun: a training that takes hours ends where it began, and the process
ends with it. The leases alone fence it, as they fence every other one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from pagemill.cluster.assignment import Assignment, DispatcherName, Share, declaration_of, keys_of_role
from pagemill.cluster.dispatcher import DispatcherActor
from pagemill.pools import coordinator
from pagemill.settings import Settings
from pagemill.work.roles import Role, dispatched_roles, roles_run_by

PREFIX = "dispatcher"
ANSWER_SECONDS = 10.0
NAME_SECONDS = 10.0
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
    # A step that is given back begins anew, with all that it does outside.
    Role.WORKFLOWS: None,
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
    # Of all roles at the same time: a process takes seconds to start.
    generations = [_declare(role, running, settings, release) for role in dispatched_roles(settings)]
    failures: list[RayError] = []
    kept: set[str] = set()
    for generation in generations:
        try:
            generation.wait_until_listening()
            kept |= {str(name) for name in generation.names}
        except RayError as error:
            logger.exception("the %s dispatchers of release %s do not start", generation.role, release)
            generation.kill()
            failures.append(error)
            kept |= {str(name) for name in _names(running) if name.role == generation.role}
    for name, dispatcher in running.items():
        if name not in kept:
            _retire(name, dispatcher, settings)
    if failures:
        raise failures[0]


def missing_dispatchers(settings: Settings) -> list[str]:
    """Return the names of the dispatchers that do not run, of whatever generation and release."""
    running = {(name.role, name.number) for name in _names(_running(settings.ray_namespace))}
    roles = dispatched_roles(settings)
    declared = [(role, number) for role in roles for number in range(_count(role, settings))]
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


@dataclass(frozen=True, slots=True)
class _Generation:
    """Dispatchers of a role as they are declared; those that ran already are not among the ``started``."""

    role: Role
    names: Sequence[DispatcherName]
    started: Sequence[Any] = ()

    def wait_until_listening(self) -> None:
        """Return when those that were started answer, and listen if Postgres is there. Raises RayError."""
        statuses = self._statuses(START_SECONDS)
        deadline = time.monotonic() + LISTEN_SECONDS
        while not all(status["listening"] for status in statuses) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            statuses = self._statuses(ANSWER_SECONDS)
        for status in statuses:
            logger.info("a %s dispatcher works: %s", self.role, status)

    def kill(self) -> None:
        """End those that were started."""
        for one in self.started:
            ray.kill(one, no_restart=True)

    def _statuses(self, seconds: float) -> list[dict[str, Any]]:
        statuses: list[dict[str, Any]] = ray.get(
            [one.status.remote() for one in self.started], timeout=seconds
        )
        return statuses


def _declare(role: Role, running: Mapping[str, Any], settings: Settings, release: str) -> _Generation:
    """Start a role's dispatchers, unless those that run are as they are declared."""
    count = _count(role, settings)
    names = [name for name in _names(running) if name.role == role]
    newest = max((name.generation for name in names), default=0)
    declaration = declaration_of(role, settings, release)
    current = [name for name in names if name.generation == newest]
    if len(current) == count and _fulfil([running[str(name)] for name in current], declaration):
        logger.info("the %s dispatchers are those of this release: they stay", role)
        return _Generation(role, current)
    successors = [DispatcherName(role, newest + 1, number) for number in range(count)]
    started = [
        _start(
            Assignment(
                name=name,
                share=Share(name.number, count),
                release=release,
                declaration=declaration,
                keys=keys_of_role(role, settings),
            ),
            settings.ray_namespace,
        )
        for name in successors
    ]
    return _Generation(role, successors, started)


def _fulfil(dispatchers: Sequence[Any], declaration: str) -> bool:
    """Return whether dispatchers answer that they are as declared."""
    try:
        answers = ray.get([one.fulfils.remote(declaration) for one in dispatchers], timeout=ANSWER_SECONDS)
    except (RayError, AttributeError) as error:
        logger.warning("a dispatcher does not answer: %s", error)
        return False
    return all(answers)


def _start(assignment: Assignment, namespace: str) -> Any:
    """Start a dispatcher and return its handle. Raises ValueError when somebody else starts the same one."""
    actor = ray.remote(DispatcherActor).options(
        name=str(assignment.name),
        namespace=namespace,
        lifetime="detached",
        max_restarts=-1,
        **coordinator().actor_options,
    )
    deadline = time.monotonic() + NAME_SECONDS
    while True:
        try:
            return actor.remote(assignment)
        except ValueError:
            # The name of an actor that was killed is free a moment later.
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def _drain_seconds(role: Role, settings: Settings) -> float | None:
    """Return the longest time that a role whose jobs the dispatcher runs needs; None: no limit."""
    limits = [DRAIN_SECONDS[one] for one in roles_run_by(role, settings)]
    return None if None in limits else max(limit for limit in limits if limit is not None)


def _retire(name: str, dispatcher: Any, settings: Settings) -> None:
    """Have a dispatcher drain; one that cannot is ended, and its jobs are left to their leases."""
    known = DispatcherName.parse(name)
    seconds = None if known is None else _drain_seconds(known.role, settings)
    try:
        ray.get(dispatcher.drain.remote(seconds), timeout=ANSWER_SECONDS)
    except (RayError, AttributeError) as error:
        logger.warning("%s cannot drain and is ended: %s", name, error)
        ray.kill(dispatcher, no_restart=True)
    else:
        logger.info("%s claims nothing more and ends with its last job", name)
