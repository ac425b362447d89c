"""Metrics of trainings, exported by Ray as ``ray_pagemill_*``."""

from __future__ import annotations

from ray.util.metrics import Counter, Histogram

WAIT_SECONDS = [1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0]


class TrainingMetrics:
    """Counts of one process. No label names a training or an organization."""

    def __init__(self) -> None:
        self._gpu_seconds = Counter("pagemill_gpu_seconds", "GPU seconds of trainings that have succeeded.")
        self._wait = Histogram(
            "pagemill_training_wait_seconds",
            "From the start of a training until its workers have a node.",
            WAIT_SECONDS,
        )

    def used_gpus(self, seconds: float) -> None:
        """Count the time of a training's GPUs, of all of them together."""
        if seconds > 0:
            self._gpu_seconds.inc(seconds)

    def waited(self, seconds: float) -> None:
        """Count a training whose workers have begun."""
        self._wait.observe(max(0.0, seconds))
