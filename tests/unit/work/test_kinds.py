"""The registry has every kind once, complete for the engine and the operator."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from typing import get_args

import pytest

from db import mail, webhook_deliveries
from db.jobs import JobState
from pagemill import work
from pagemill.commands.jobs import STATES
from pagemill.jobs.job import Job
from pagemill.jobs.kind import JobKind, JobKinds, UnknownKind
from pagemill.jobs.schedule import schedules_of
from pagemill.settings import Settings, load_settings
from pagemill.work.containers import CONTAINER
from pagemill.work.functions import FUNCTION
from pagemill.work.kinds import KINDS, KINDS_OF_ROLE
from pagemill.work.mail import MAIL
from pagemill.work.predictions import PREDICTION
from pagemill.work.roles import NAMES_OF_ROLE
from pagemill.work.webhooks import WEBHOOK
from pagemill.workflows import step_jobs

REQUIRED = {"PAGEMILL_DATABASE_URL": "postgresql://unused", "PAGEMILL_OBJECTS_URL": "file:///unused"}


class Everything:
    """Resources that nothing is done with."""

    def __getattr__(self, _name: str) -> Everything:
        return self

    async def __call__(self, _job: Job) -> None:
        raise AssertionError


def test_the_names_of_each_role_are_known_without_its_kinds() -> None:
    assert {role: tuple(kinds.names) for role, kinds in KINDS_OF_ROLE.items()} == NAMES_OF_ROLE


def test_every_kind_that_is_declared_is_registered() -> None:
    names = [one.name for one in pkgutil.iter_modules(work.__path__)]
    members = [
        member for name in names for member in vars(importlib.import_module(f"pagemill.work.{name}")).values()
    ]
    declared = {id(member): member.name for member in members if isinstance(member, JobKind)}
    assert sorted(declared.values()) == sorted(KINDS.names)


def test_a_name_belongs_to_one_kind() -> None:
    with pytest.raises(ValueError, match="two kinds of job are named prediction"):
        JobKinds([PREDICTION, MAIL, replace(PREDICTION, description="another")])


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownKind, match="telegram"):
        KINDS["telegram"]


@pytest.mark.parametrize("kind", list(KINDS), ids=lambda kind: kind.name)
def test_a_kind_can_be_run(kind: JobKind[object, object]) -> None:
    settings = load_settings(REQUIRED)
    runnable = kind.runnable(settings, Everything())
    assert callable(runnable.run)
    assert runnable.concurrency >= 1
    assert kind.description


def test_how_many_jobs_run_at_once_follows_from_the_settings() -> None:
    settings = load_settings(
        REQUIRED
        | {
            "PAGEMILL_PREDICTION_CONCURRENCY": "3",
            "PAGEMILL_DATA_BUNDLE_CONCURRENCY": "4",
            "PAGEMILL_TRAINING_CONCURRENCY": "5",
            "PAGEMILL_TRANSFORMATION_CONCURRENCY": "6",
            "PAGEMILL_WEBHOOK_CONCURRENCY": "7",
            "PAGEMILL_FUNCTION_CONCURRENCY": "9",
            "PAGEMILL_CONTAINER_CONCURRENCY": "11",
        }
    )
    assert {kind.name: kind.concurrency(settings) for kind in KINDS} == {
        "prediction": 3,
        "data-bundle": 4,
        "training": 5,
        "transformation": 6,
        "webhook": 7,
        "retention": 1,
        "erasure": 1,
        "object-sweep": 1,
        "month-statement": 1,
        "mail": 1,
        "limit-warnings": 1,
        "audit-retention": 1,
        "function": 9,
        "container": 11,
        "completed-task": 11,
        "workflow-timer": 8,
    }


def test_housekeeping_is_done_unless_it_is_turned_off() -> None:
    settings = Settings(database_url="postgresql://unused", objects_url="file:///unused")
    runnable = [kind.runnable(settings, Everything()) for kind in KINDS]
    assert {schedule.kind.name: schedule.interval for schedule in schedules_of(runnable)} == {
        "retention": 3600.0,
        "erasure": 3600.0,
        "object-sweep": 86400.0,
        "month-statement": 3600.0,
        "limit-warnings": 300.0,
        "audit-retention": 86400.0,
    }
    intervals = (
        "RETENTION",
        "ERASURE",
        "OBJECT_SWEEP",
        "MONTH_STATEMENT",
        "LIMIT_WARNING",
        "AUDIT_RETENTION",
    )
    off = load_settings(REQUIRED | {f"PAGEMILL_{name}_INTERVAL": "0" for name in intervals})
    assert schedules_of([kind.runnable(off, Everything()) for kind in KINDS]) == []


@pytest.mark.parametrize(("kind", "queued"), [(MAIL, mail), (WEBHOOK, webhook_deliveries)])
def test_jobs_that_statements_queue_are_of_their_kind(kind: JobKind[object, object], queued: object) -> None:
    declared = (kind.name, kind.priority, kind.maximum_attempts)
    assert declared == (queued.KIND, queued.PRIORITY, queued.MAXIMUM_ATTEMPTS)  # type: ignore[attr-defined]


def test_jobs_of_steps_are_of_their_kind() -> None:
    assert list(step_jobs.STEP_JOBS.values()) == [
        step_jobs.StepJob(kind.name, kind.priority, kind.maximum_attempts) for kind in (FUNCTION, CONTAINER)
    ]


def test_the_command_knows_every_state() -> None:
    assert get_args(JobState) == STATES
