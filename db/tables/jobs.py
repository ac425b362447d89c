"""The tables of durable jobs and of those who dispatch them."""

from __future__ import annotations

from piccolo.columns import JSONB, Boolean, Integer, Text, Timestamptz, Varchar
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table


class Job(Table, tablename="job"):
    """A durable job. ``attempt`` is the fencing token; the first terminal write wins."""

    id = Text(primary_key=True, help_text="uuid4 hex; of a scheduled job its kind, organization and time")
    kind = Text(help_text="name of a kind declared in pagemill.work")
    organization_id = Text()
    subject_id = Text(help_text="id of the resource the job works for")
    payload = JSONB(default="{}")
    state = Text(default="queued", help_text="queued, running, succeeded, failed, cancelled")
    priority = Integer(default=0, help_text="smaller is sooner: 0 interactive, 10 batch")
    attempt = Integer(default=0)
    maximum_attempts = Integer(default=3)
    lost_workers = Integer(default=0, help_text="how many workers died of it, or with it")
    run_after = Timestamptz(default=TimestamptzNow())
    lease_owner = Text(null=True, default=None)
    lease_expires = Timestamptz(null=True, default=None)
    cancel_requested = Boolean(default=False)
    error_class = Text(null=True, default=None)
    error_message = Text(null=True, default=None)
    retryable = Boolean(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())
    started_time = Timestamptz(null=True, default=None)
    ended_time = Timestamptz(null=True, default=None)
    trace_context = Varchar(
        length=600, null=True, default=None, help_text="traceparent and tracestate of what queued it"
    )


class Dispatcher(Table, tablename="dispatcher"):
    """A dispatcher as it announces itself; it is there until ``expires``."""

    name = Text(primary_key=True, help_text="name of its actor")
    role = Text(help_text="interactive, long, housekeeping, workflows")
    release = Text()
    owner = Text(help_text="lease_owner of its jobs")
    listening = Boolean(default=False)
    draining = Boolean(default=False, help_text="it claims nothing more")
    slots = JSONB(default="{}", help_text="how many jobs run at a time, by kind")
    running = JSONB(default="{}", help_text="how many jobs run now, by kind")
    expires = Timestamptz(default=TimestamptzNow())
