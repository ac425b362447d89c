"""Observer of the jobs of a dispatcher: what it counts is shown to operators."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from pagemill.jobs.job import KindName

AttemptOutcome: TypeAlias = Literal["succeeded", "failed", "cancelled", "retried", "lost"]
"""Outcome of an attempt. A job is ``lost`` when it is given up because its workers died; one that was given
back or that is tried again is ``retried``."""


class JobObserver(Protocol):
    """Observer of a dispatcher."""

    def claimed(self, kind: KindName, waited: float) -> None:
        """Count a job that was claimed some seconds after it was due."""
        ...

    def ran(self, kind: KindName, seconds: float) -> None:
        """Count an attempt that took some seconds, from its claim until its outcome was written."""
        ...

    def ended(self, kind: KindName, outcome: AttemptOutcome) -> None:
        """Count the outcome of an attempt, also of one whose dispatcher has died."""
        ...


class NoObserver:
    """Observer that counts nothing."""

    def claimed(self, kind: KindName, waited: float) -> None:
        """Count nothing."""

    def ran(self, kind: KindName, seconds: float) -> None:
        """Count nothing."""

    def ended(self, kind: KindName, outcome: AttemptOutcome) -> None:
        """Count nothing."""


NOBODY = NoObserver()
