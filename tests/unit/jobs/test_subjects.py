"""Every kind of job says what becomes of its resource, and the command line knows every kind."""

from __future__ import annotations

from typing import get_args

from pagemill.commands.jobs import KINDS, STATES
from pagemill.jobs.job import JobKind, JobState
from pagemill.jobs.subjects import SUBJECTS


def test_no_kind_is_forgotten() -> None:
    assert set(SUBJECTS) == set(get_args(JobKind)) == set(KINDS)
    assert get_args(JobState) == STATES
