"""Metrics of jobs: by kind and outcome, and by nothing else."""

from __future__ import annotations

import asyncio

import pytest

from pagemill.cluster import job_metrics
from pagemill.jobs.job import KindName
from tests.support.ray_metrics import recorded
from tests.support.running import eventually

KIND = KindName("prediction")


def test_jobs_are_counted_by_kind_and_outcome() -> None:
    with recorded(job_metrics) as metrics:
        counts = job_metrics.JobMetrics("0.1.0+abc")
    counts.claimed(KIND, 2.5)
    counts.claimed(KIND, -0.1)
    counts.ran(KIND, 1.5)
    counts.ended(KIND, "succeeded")
    counts.ended(KIND, "retried")

    assert metrics["job_wait_seconds"].values == {("prediction",): [2.5, 0.0]}
    assert metrics["job_seconds"].values == {("prediction",): [1.5]}
    assert metrics["jobs_ended"].values == {
        ("prediction", "succeeded"): [1.0],
        ("prediction", "retried"): [1.0],
    }


async def test_the_release_is_shown_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_metrics, "SHOW_SECONDS", 0.0)
    with recorded(job_metrics) as metrics:
        showing = asyncio.create_task(job_metrics.JobMetrics("0.1.0+abc").keep_showing())

    async def is_shown_twice() -> bool:
        return len(metrics["build_info"].values.get(("0.1.0+abc",), [])) > 1

    assert await eventually(is_shown_twice, seconds=60)
    showing.cancel()
