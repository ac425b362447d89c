"""What a job is, for the one who queues it, the one who runs it and the one who waits for it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from pagemill import errors
from pagemill.ids import JobId, OrganizationId

JobKind: TypeAlias = Literal[
    "prediction",
    "data-bundle",
    "training",
    "transformation",
    "retention",
    "object-sweep",
    "month-statement",
    "mail",
    "webhook",
    "limit-warnings",
]
JobState: TypeAlias = Literal["queued", "running", "succeeded", "failed", "cancelled"]

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
    """A claimed job. ``attempt`` counts from 1 and fences every write: only the latest can end the job."""

    id: JobId
    kind: JobKind
    organization_id: OrganizationId
    subject_id: str
    payload: dict[str, Any]
    attempt: int
    maximum_attempts: int
    lost_workers: int = 0
    """How many workers have died with it so far."""


class JobFailed(errors.PagemillError):
    """The job failed for a reason that is not the caller's."""


class JobCancelled(errors.PagemillError):
    """The job was cancelled before it had an outcome."""

    status = 409


class WorkerLost(errors.PagemillError):
    """The worker of the job died or was cut off; a job that this befalls again may be what kills workers."""

    retryable = True


class TryAgain(errors.PagemillError):
    """The attempt was in vain, and its runner knows in how many seconds another one makes sense."""

    retryable = True

    def __init__(self, message: str, *, delay: float = 60.0) -> None:
        super().__init__(message)
        self.delay = delay

    def __reduce__(self) -> tuple[type[errors.PagemillError], tuple[str], dict[str, Any]]:
        return (type(self), (self.message,), {"delay": self.delay})


class EndedJob(msgspec.Struct, frozen=True):
    """How a job ended; the error's class and message are given unless it succeeded."""

    state: JobState
    error_class: str | None
    error_message: str | None

    def error(self) -> errors.PagemillError | None:
        """The error to raise to whoever waited, None when the job succeeded."""
        if self.state == "succeeded":
            return None
        if self.state == "cancelled":
            return JobCancelled("The job was cancelled")
        found = getattr(errors, self.error_class or "", None)
        if isinstance(found, type) and issubclass(found, errors.PagemillError):
            return found(self.error_message or "Internal Server Error")
        return JobFailed(self.error_message or "Internal Server Error")
