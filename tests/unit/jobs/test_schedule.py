"""The scheduled jobs of a time, without a clock or a database."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st

from pagemill.jobs.schedule import ScheduledJob, scheduled_jobs, slot_of
from pagemill.jobs.upkeep import RETENTION_SECONDS
from pagemill.settings import LONGEST_INTERVAL
from pagemill.work.kinds import KINDS
from pagemill.work.object_sweep import OBJECT_SWEEP
from pagemill.work.retention import RETENTION
from tests.support.schedules import HOUR, at, schedule_of

ORGANIZATION = "las:organization:acme"
times = st.datetimes(
    datetime.datetime(2020, 1, 1), datetime.datetime(2100, 1, 1), timezones=st.just(datetime.UTC)
)


def test_a_job_is_named_by_kind_organization_and_slot() -> None:
    jobs = scheduled_jobs(schedule_of(RETENTION, HOUR), at("2026-11-25T13:47:12"), [ORGANIZATION])
    assert jobs == [ScheduledJob("retention/acme/2026-11-25T13:00:00Z", ORGANIZATION)]


def test_a_daily_slot_begins_at_midnight() -> None:
    daily = schedule_of(OBJECT_SWEEP, 24 * HOUR)
    assert slot_of(daily, at("2026-11-25T23:59:59")) == at("2026-11-25T00:00:00")
    assert slot_of(daily, at("2026-11-26T00:00:00")) == at("2026-11-26T00:00:00")


def test_kinds_and_organizations_do_not_share_ids() -> None:
    now, both = at("2026-11-25T13:47:12"), [ORGANIZATION, "las:organization:other"]
    scheduled = [kind for kind in KINDS if kind.recurrence is not None]
    jobs = [job for kind in scheduled for job in scheduled_jobs(schedule_of(kind, HOUR), now, both)]
    assert len({job.id for job in jobs}) == len(scheduled) * 2 > 0


@given(now=times, interval=st.floats(60, 6 * 86400))
def test_the_time_is_in_its_slot(now: datetime.datetime, interval: float) -> None:
    begun = slot_of(schedule_of(RETENTION, interval), now)
    assert -1e-3 <= (now - begun).total_seconds() <= interval + 1e-3


@given(now=times, interval=st.sampled_from([60.0, 3600.0, 86400.0]), shift=st.floats(0, 1, exclude_max=True))
def test_all_times_of_a_slot_give_the_same_job(now: datetime.datetime, interval: float, shift: float) -> None:
    schedule = schedule_of(RETENTION, interval)
    begun = slot_of(schedule, now)
    later = begun + datetime.timedelta(seconds=int(shift * interval))
    assert scheduled_jobs(schedule, later, ["o"]) == scheduled_jobs(schedule, begun, ["o"])


def test_no_interval_outlasts_the_memory_of_jobs() -> None:
    assert LONGEST_INTERVAL < RETENTION_SECONDS
