"""Metrics of trainings: the wait for a node, and the time of GPUs."""

from __future__ import annotations

from tests.support.ray_metrics import recorded
from train_jobs import training_metrics


def test_waits_and_gpu_seconds_are_counted() -> None:
    with recorded(training_metrics) as metrics:
        counts = training_metrics.TrainingMetrics()
    counts.waited(12.5)
    # The clocks of two nodes differ.
    counts.waited(-0.2)
    counts.used_gpus(0.0)
    counts.used_gpus(90.0)

    assert metrics["training_wait_seconds"].values == {(): [12.5, 0.0]}
    assert metrics["gpu_seconds"].values == {(): [90.0]}
