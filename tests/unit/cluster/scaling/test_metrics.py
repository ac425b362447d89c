"""A dashboard shows what was decided, how old the figures are, and that a policy has a fault."""

from __future__ import annotations

import time
from typing import ClassVar, get_args

import pytest

from benchmarks.rehearsal_policies import Context, RaisingSource, policy_with
from pagemill.cluster.scaling import metrics
from pagemill.cluster.scaling.decision import Cause
from pagemill.cluster.scaling.figures import Backlog
from tests.support.processes import PATIENCE_SECONDS
from tests.unit.cluster.scaling.sources import GivenBacklog


class ShownGauge:
    """A gauge that can be read."""

    shown: ClassVar[dict[tuple[str, ...], float]] = {}

    def __init__(self, name: str, *, description: str, tag_keys: tuple[str, ...]) -> None:
        assert description
        assert tag_keys[0] == "application"
        self.tag_keys = tag_keys
        self.name = name.removeprefix("pagemill_scaling_")

    def set(self, value: float, tags: dict[str, str]) -> None:
        self.shown[self.name, *(tags[key] for key in self.tag_keys)] = value


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, ...], float]:
    """Values of all gauges."""
    monkeypatch.setattr(metrics, "Gauge", ShownGauge)
    monkeypatch.setattr(ShownGauge, "shown", {})
    return ShownGauge.shown


def test_decisions_and_their_figures_are_shown(shown: dict[tuple[str, ...], float]) -> None:
    backlog = Backlog(taken=time.monotonic() - 5.0, interactive=300.0, batch=100.0)
    replicas, _ = policy_with(GivenBacklog(backlog), "reading")(Context())
    policy_with(GivenBacklog(), "prediction")(Context(total_num_requests=6.0))

    assert shown["replicas_wanted", "reading"] == replicas
    assert shown["waiting_pages", "reading"] == 400.0
    assert 5.0 <= shown["figures_age_seconds", "reading"] < 5.0 + PATIENCE_SECONDS
    assert shown["fault", "reading"] == 0.0
    assert shown["replicas_wanted", "prediction"] == 3.0
    assert shown["figures_age_seconds", "prediction"] == metrics.NEVER


def test_exactly_one_reason_is_shown(shown: dict[tuple[str, ...], float]) -> None:
    policy = policy_with(GivenBacklog(), "reading")
    for requests, reason in ((6.0, "fallback"), (1000.0, "maximum")):
        policy(Context(total_num_requests=requests))
        reasons = {key[2]: value for key, value in shown.items() if key[0] == "decision"}
        assert set(reasons) <= set(get_args(Cause))
        assert [name for name, value in reasons.items() if value] == [reason]
        assert sum(reasons.values()) == 1.0


def test_a_fault_is_shown(shown: dict[tuple[str, ...], float]) -> None:
    policy_with(RaisingSource(), "reading")(Context())

    assert shown == {("fault", "reading"): 1.0}
