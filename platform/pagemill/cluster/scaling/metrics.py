"""Gauges of scaling for an operator's dashboard, exported by Ray as ``ray_pagemill_scaling_*``."""

from __future__ import annotations

from ray.util.metrics import Gauge

from pagemill.cluster.scaling.decision import Cause, Decision
from pagemill.cluster.scaling.figures import Figures

TAG, REASON = "application", "reason"
NEVER = -1.0
"""Age of figures that have not come yet."""


class ScalingMetrics:
    """Gauges of one application."""

    def __init__(self, application: str) -> None:
        self._tags = {TAG: application}
        self._replicas = _gauge("replicas_wanted", "Replicas that the policy orders.")
        self._waiting = _gauge("waiting_pages", "Pages of queued jobs.")
        self._age = _gauge("figures_age_seconds", "Age of the database's last answer; -1: none yet.")
        self._faults = _gauge("fault", "1 while the policy makes no decision because of a fault, else 0.")
        self._decision = _gauge("decision", "1 for the reason of the last decision.", REASON)
        self._cause: Cause | None = None

    def decided(self, decision: Decision, figures: Figures, now: float) -> None:
        """Show a decision and what it was made from."""
        backlog = figures.backlog
        self._replicas.set(decision.replicas, self._tags)
        self._waiting.set(backlog.waiting if backlog else 0.0, self._tags)
        self._age.set(now - backlog.taken if backlog else NEVER, self._tags)
        self._faults.set(0.0, self._tags)
        if self._cause not in (None, decision.cause):
            self._decision.set(0.0, self._tags | {REASON: self._cause})
        self._cause = decision.cause
        # At each decision: Ray forgets a gauge that has not been set for 20 seconds.
        self._decision.set(1.0, self._tags | {REASON: decision.cause})

    def failed(self) -> None:
        """Show that there is no decision."""
        self._faults.set(1.0, self._tags)


def _gauge(name: str, description: str, *tags: str) -> Gauge:
    return Gauge(f"pagemill_scaling_{name}", description=description, tag_keys=(TAG, *tags))
