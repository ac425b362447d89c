"""A job as it is queued, run and waited for."""

from __future__ import annotations

from typing import Any, NewType

import msgspec

from db.jobs import JobState
from pagemill import errors
from pagemill.ids import JobId, OrganizationId, SubjectId

KindName = NewType("KindName", str)
"""Name of a kind of job, as it stands in the rows and in the operator's commands."""

READY_CHANNEL = "pagemill_job_ready"
"""Payload: the kind of the job that can be claimed."""
ENDED_CHANNEL = "pagemill_job_ended"
"""Payload: the ids, with spaces between them, of jobs that succeeded, failed or were cancelled."""
CANCEL_CHANNEL = "pagemill_job_cancel"
"""Payload: the id of a running job that is to be cancelled."""

INTERACTIVE = 0
BATCH = 10
HOUSEKEEPING = 20


class Job(msgspec.Struct, frozen=True):
    """A claimed job.

    ``attempt`` counts from 1 and fences every write: only the latest attempt can end the job.
    ``lost_workers`` says how many workers have died with the job so far. ``waited`` is for how many seconds
    it could have been claimed before. ``trace_context`` is the place in a trace of what has queued the job.
    """

    id: JobId
    kind: KindName
    organization_id: OrganizationId
    subject_id: SubjectId
    payload: dict[str, Any]
    attempt: int
    maximum_attempts: int
    lost_workers: int = 0
    waited: float = 0.0
    trace_context: str | None = None


class JobFailed(errors.PagemillError):
    """The job failed for a reason that is not the caller's."""


class JobCancelled(errors.PagemillError):
    """The job was cancelled before it had an outcome."""

    status = 409


class WorkerLost(errors.PagemillError):
    """The worker of the job died or was cut off; a job that loses its worker again may be the cause."""

    retryable = True


class TryAgain(errors.PagemillError):
    """The attempt has failed, and another one makes sense in ``delay`` seconds."""

    retryable = True

    def __init__(self, message: str, *, delay: float = 60.0) -> None:
        super().__init__(message)
        self.delay = delay

    def __reduce__(self) -> tuple[type[errors.PagemillError], tuple[str], dict[str, Any]]:
        return (type(self), (self.message,), {"delay": self.delay})


class EndedJob(msgspec.Struct, frozen=True):
    """State of a job that has ended; the error's class and message are given unless it succeeded."""

    state: JobState
    error_class: str | None
    error_message: str | None

    def error(self) -> errors.PagemillError | None:
        """Return the error to raise to a caller who waited, None when the job succeeded."""
        if self.state == "succeeded":
            return None
        if self.state == "cancelled":
            return JobCancelled("The job was cancelled")
        found = getattr(errors, self.error_class or "", None)
        if isinstance(found, type) and issubclass(found, errors.PagemillError):
            return found(self.error_message or "Internal Server Error")
        return JobFailed(self.error_message or "Internal Server Error")
