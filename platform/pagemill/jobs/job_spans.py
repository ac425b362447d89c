"""Spans of a job: its wait in the queue, each run, and its outcome, all below what has queued it."""

from __future__ import annotations

from contextlib import AbstractContextManager

import msgspec

from db.job_leases import ClaimedJobRow
from pagemill.jobs.job import Job
from pagemill.tracing.spans import (
    Attributes,
    SpanHandle,
    context_to_send,
    continue_trace,
    record_past,
)


def record_wait(row: ClaimedJobRow) -> None:
    """Record that a job has waited until it was claimed, by the clock of the database."""
    if row.trace_context is not None:
        attributes: Attributes = {"pagemill.job.id": row.id, "pagemill.job.attempt": row.attempt}
        record_past(
            row.trace_context, f"queue {row.kind}", attributes, start=row.run_after, end=row.claimed_time
        )


def run_span(job: Job) -> AbstractContextManager[SpanHandle]:
    """Record that a job runs."""
    return continue_trace(job.trace_context, f"run {job.kind}", _attributes_of(job), kind="consumer")


def outcome_span(job: Job) -> AbstractContextManager[SpanHandle]:
    """Record that the outcome of a job is written."""
    return continue_trace(job.trace_context, "write outcome", _attributes_of(job))


def within_active_trace(job: Job) -> Job:
    """Return the job for another process, whose spans belong to the one that is active here."""
    context = context_to_send()
    return job if context is None else msgspec.structs.replace(job, trace_context=context)


def _attributes_of(job: Job) -> Attributes | None:
    if job.trace_context is None:
        return None
    return {
        "pagemill.job.id": job.id,
        "pagemill.job.kind": job.kind,
        "pagemill.job.attempt": job.attempt,
        "pagemill.organization.id": job.organization_id,
        "pagemill.subject.id": job.subject_id,
    }
