"""Scheduled jobs: a pure function from the time to their ids.

Time is cut into slots of a schedule's interval. Each organization has one job in a slot, with the slot in its
id: it exists once, however many dispatchers queue it. A dispatcher that was away queues the jobs of the
current slot only: such a job does whatever has become due until then, so nothing is missed.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterable, Sequence

import msgspec

from db import schedule as statements
from db.statements import Connection
from pagemill.ids import JobId, OrganizationId, slug_of
from pagemill.jobs.job import KindName
from pagemill.jobs.kind import AnyKind, ListOrganizations, RunnableKind

ORGANIZATION_BATCH_SIZE = 1000

logger = logging.getLogger(__name__)


class Schedule(msgspec.Struct, frozen=True):
    """A job of ``kind`` for each of the organizations concerned, every ``interval`` seconds."""

    kind: AnyKind
    interval: float
    organizations: ListOrganizations


class ScheduledJob(msgspec.Struct, frozen=True):
    """A job that should exist."""

    id: JobId
    organization_id: OrganizationId


def schedules_of(kinds: Iterable[RunnableKind[object]]) -> list[Schedule]:
    """Return the schedules that a dispatcher of these kinds keeps; an interval of 0 turns one off."""
    return [
        Schedule(one.kind, one.interval, one.kind.recurrence.organizations)
        for one in kinds
        if one.kind.recurrence is not None and one.interval > 0
    ]


def slot_of(schedule: Schedule, now: datetime.datetime) -> datetime.datetime:
    """Return the beginning of the current slot. Slots count from 1970: a daily one begins at midnight."""
    begun = now.timestamp() // schedule.interval * schedule.interval
    return datetime.datetime.fromtimestamp(begun, datetime.UTC)


def scheduled_jobs(
    schedule: Schedule, now: datetime.datetime, organization_ids: Iterable[OrganizationId]
) -> list[ScheduledJob]:
    """Return the jobs that should exist now."""
    slot = slot_of(schedule, now).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        ScheduledJob(JobId(f"{schedule.kind.name}/{slug_of(organization_id)}/{slot}"), organization_id)
        for organization_id in organization_ids
    ]


class Scheduler:
    """Queue of scheduled jobs. It remembers the slots that are done, only to look less often."""

    def __init__(self, schedules: Sequence[Schedule]) -> None:
        self._schedules = list(schedules)
        self._done: dict[KindName, datetime.datetime] = {}

    async def enqueue(self, connection: Connection) -> int:
        """Queue the jobs that should exist by the database's clock and do not; return how many."""
        now = await statements.get_time(connection)
        queued = 0
        for schedule in self._schedules:
            slot = slot_of(schedule, now)
            if self._done.get(schedule.kind.name) != slot:
                queued += await enqueue_scheduled(connection, schedule, now)
                self._done[schedule.kind.name] = slot
        return queued


async def enqueue_scheduled(connection: Connection, schedule: Schedule, now: datetime.datetime) -> int:
    """Queue a schedule's jobs and return how many.

    An organization whose job of an earlier slot is still open gets no other.
    """
    kind, queued, after = schedule.kind, 0, ""
    while True:
        organization_ids = await schedule.organizations(
            connection, after=after, limit=ORGANIZATION_BATCH_SIZE
        )
        jobs = scheduled_jobs(schedule, now, organization_ids)
        if jobs:
            queued += await statements.insert_scheduled_jobs(
                connection,
                kind=kind.name,
                job_ids=[job.id for job in jobs],
                organization_ids=[job.organization_id for job in jobs],
                priority=kind.priority,
                maximum_attempts=kind.maximum_attempts,
            )
        if len(organization_ids) < ORGANIZATION_BATCH_SIZE:
            break
        after = organization_ids[-1]
    if queued:
        logger.info("queued %d %s jobs", queued, kind.name)
    return queued
