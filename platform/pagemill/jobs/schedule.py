"""Jobs that exist because it is time: a pure function from the time to their ids.

Time is cut into slots of a schedule's interval. For each organization there is one job in a slot, whose id
says so: however many dispatchers queue it, it exists once. A dispatcher that was away queues those of the
slot that it finds itself in: such a job does whatever has become due until then, so nothing is missed.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from db import schedule as statements
from db.limit_warnings import ORGANIZATIONS_NEAR_LIMITS
from db.month_statements import ORGANIZATIONS_WITHOUT_STATEMENT
from db.statements import Connection, UntypedStatement
from pagemill.ids import slug_of
from pagemill.jobs.job import HOUSEKEEPING, JobKind
from pagemill.jobs.queue import MAXIMUM_ATTEMPTS

ORGANIZATIONS_AT_ONCE = 1000
ORGANIZATIONS: Mapping[JobKind, UntypedStatement] = {
    "retention": statements.ORGANIZATIONS_WITH_DUE,
    "object-sweep": statements.EVERY_ORGANIZATION,
    "month-statement": ORGANIZATIONS_WITHOUT_STATEMENT,
    "limit-warnings": ORGANIZATIONS_NEAR_LIMITS,
}

logger = logging.getLogger(__name__)


class Schedule(msgspec.Struct, frozen=True):
    """A job of ``kind`` for each organization that it concerns, every ``interval`` seconds."""

    kind: JobKind
    interval: float


class ScheduledJob(msgspec.Struct, frozen=True):
    """A job that should exist."""

    id: str
    organization_id: str


def slot_of(schedule: Schedule, now: datetime.datetime) -> datetime.datetime:
    """When the slot began that ``now`` is in. Slots are counted from 1970: a daily one begins at midnight."""
    begun = now.timestamp() // schedule.interval * schedule.interval
    return datetime.datetime.fromtimestamp(begun, datetime.UTC)


def scheduled_jobs(
    schedule: Schedule, now: datetime.datetime, organization_ids: Iterable[str]
) -> list[ScheduledJob]:
    """The jobs that should exist now."""
    slot = slot_of(schedule, now).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        ScheduledJob(f"{schedule.kind}/{slug_of(organization_id)}/{slot}", organization_id)
        for organization_id in organization_ids
    ]


class Scheduler:
    """Queues the jobs of schedules. It remembers the slots that it has seen to, only to ask less often."""

    def __init__(self, schedules: Sequence[Schedule]) -> None:
        self._schedules = list(schedules)
        self._seen_to: dict[JobKind, datetime.datetime] = {}

    async def enqueue(self, connection: Connection) -> int:
        """Queue what should exist by the database's clock and does not; how many jobs that were."""
        now: datetime.datetime = await statements.NOW.fetch_value(connection)
        queued = 0
        for schedule in self._schedules:
            slot = slot_of(schedule, now)
            if self._seen_to.get(schedule.kind) != slot:
                queued += await enqueue_scheduled(connection, schedule, now)
                self._seen_to[schedule.kind] = slot
        return queued


async def enqueue_scheduled(connection: Connection, schedule: Schedule, now: datetime.datetime) -> int:
    """Queue a schedule's jobs; an organization whose job of an earlier slot is still open gets no other."""
    queued, after = 0, ""
    while True:
        rows = await ORGANIZATIONS[schedule.kind].fetch(connection, after, ORGANIZATIONS_AT_ONCE)
        jobs = scheduled_jobs(schedule, now, (row["id"] for row in rows))
        if jobs:
            queued += await statements.ENQUEUE.fetch_value(
                connection,
                schedule.kind,
                [job.id for job in jobs],
                [job.organization_id for job in jobs],
                HOUSEKEEPING,
                MAXIMUM_ATTEMPTS,
            )
        if len(rows) < ORGANIZATIONS_AT_ONCE:
            break
        after = rows[-1]["id"]
    if queued:
        logger.info("queued %d %s jobs", queued, schedule.kind)
    return queued
