"""Playing many stories, one after the other, on one database."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum

import msgspec

from tests.chaos.simulation.checks import violations
from tests.chaos.simulation.flow_checks import flow_violations
from tests.chaos.simulation.flow_story import FlowStory
from tests.chaos.simulation.real import RealServer
from tests.chaos.simulation.schema import EMPTY, SCHEMA, TRUNCATE
from tests.chaos.simulation.story import Story

TRUNCATED_EVERY = 100


class Subject(StrEnum):
    """What a story is about."""

    JOBS = "jobs"
    FLOWS = "flows"


class Played(msgspec.Struct, frozen=True):
    """What a seed led to."""

    seed: int
    problems: list[str]
    history: list[str]


class Stage:
    """A database prepared for stories."""

    def __init__(self, database_url: str) -> None:
        self._real = RealServer(database_url)
        self._played = 0

    def play(self, seed: int, subject: Subject = Subject.JOBS) -> Played:
        """Play one story; what the one before it left is taken away."""
        self._real.do(self._real.script(EMPTY if self._played % TRUNCATED_EVERY else TRUNCATE))
        self._played += 1
        if subject is Subject.FLOWS:
            flows = FlowStory(self._real, seed)
            problems = [*flows.play(), *self._real.do(flow_violations(self._real, flows))]
            return Played(seed, problems, flows.server.history)
        story = Story(self._real, seed)
        problems = [*story.play(), *self._real.do(violations(self._real, story))]
        return Played(seed, problems, story.server.history)

    def close(self) -> None:
        self._real.close()


@contextmanager
def stage(database_url: str) -> Iterator[Stage]:
    """On a database that is migrated, empty, and nobody else's."""
    real = RealServer(database_url)
    if not real.do(real.admin("SELECT FROM pg_namespace WHERE nspname = 'simulation'")):
        real.do(real.script(SCHEMA))
    real.close()
    opened = Stage(database_url)
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield opened
    finally:
        logging.disable(level)
        opened.close()


def first_problem(database_url: str, seeds: Iterable[int], subject: Subject = Subject.JOBS) -> Played | None:
    """Of the first seed that leads to one."""
    with stage(database_url) as opened:
        return next((played for seed in seeds if (played := opened.play(seed, subject)).problems), None)


def histories(database_url: str, seeds: Iterable[int], subject: Subject = Subject.JOBS) -> list[list[str]]:
    """What happened, seed for seed."""
    with stage(database_url) as opened:
        return [opened.play(seed, subject).history for seed in seeds]
