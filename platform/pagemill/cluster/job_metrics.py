"""Metrics of a dispatcher, exported by Ray as ``ray_pagemill_job*``."""

from __future__ import annotations

import asyncio

from ray.util.metrics import Counter, Gauge, Histogram

from pagemill.jobs.job import KindName
from pagemill.jobs.observer import AttemptOutcome

KIND, OUTCOME, VERSION = "kind", "outcome", "version"
JOB_SECONDS = [0.1, 0.3, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0]
WAIT_SECONDS = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0]
SHOW_SECONDS = 5.0
"""Interval of gauges: Ray forgets one that has not been set for 20 seconds."""


class JobMetrics:
    """Observer of a dispatcher of a release. No label names a job or an organization."""

    def __init__(self, release: str) -> None:
        self._ended = Counter(
            "pagemill_jobs_ended", "Attempts of jobs, by what became of them.", (KIND, OUTCOME)
        )
        self._seconds = Histogram(
            "pagemill_job_seconds", "From the claim of a job to its outcome.", JOB_SECONDS, (KIND,)
        )
        self._wait = Histogram(
            "pagemill_job_wait_seconds", "From when a job was due to its claim.", WAIT_SECONDS, (KIND,)
        )
        self._build = Gauge("pagemill_build_info", "1; the label says the release.", (VERSION,))
        self._release = release

    async def keep_showing(self) -> None:
        """Show the release until cancelled."""
        while True:
            self._build.set(1.0, {VERSION: self._release})
            await asyncio.sleep(SHOW_SECONDS)

    def claimed(self, kind: KindName, waited: float) -> None:
        """Count a job that was claimed some seconds after it was due."""
        self._wait.observe(max(0.0, waited), {KIND: kind})

    def ran(self, kind: KindName, seconds: float) -> None:
        """Count an attempt that took some seconds, from its claim until its outcome was written."""
        self._seconds.observe(seconds, {KIND: kind})

    def ended(self, kind: KindName, outcome: AttemptOutcome) -> None:
        """Count the outcome of an attempt, also of one whose dispatcher has died."""
        self._ended.inc(tags={KIND: kind, OUTCOME: outcome})
