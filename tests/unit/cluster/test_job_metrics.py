"""Metrics of jobs: by kind and outcome, and by nothing else."""

from __future__ import annotations

from pagemill.cluster import job_metrics
from pagemill.jobs.job import KindName
from tests.support.ray_metrics import recorded

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
    assert metrics["build_info"].values == {("0.1.0+abc",): [1.0]}
