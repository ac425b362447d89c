"""Metrics of reservations: by what became of them, and by nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pagemill.errors import Unavailable
from pagemill.ids import JobId, OrganizationId
from pagemill.settings import Settings, to_environment
from pagemill.usage import reservation_metrics
from pagemill.usage.actor import UsageCounterActor
from pagemill.usage.combiner import Reservation, Verdict
from tests.support.ray_metrics import Recorded, recorded

ASKED = [Reservation(OrganizationId("o"), JobId(f"job-{number}"), {"pages": 1}) for number in range(4)]


class Answers:
    """A combiner that gives these verdicts, or none while Postgres is away."""

    def __init__(self, *verdicts: Verdict) -> None:
        self._verdicts = verdicts

    async def reserve_all(self, _reservations: list[Reservation]) -> list[Verdict]:
        if not self._verdicts:
            raise Unavailable("Usage cannot be counted for now")
        return list(self._verdicts)


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, dict[str, Recorded]]:
    """A usage counter, and its metrics."""
    settings = Settings(database_url="postgresql://unused", objects_url="file:///unused")
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)
    with recorded(reservation_metrics) as metrics:
        return UsageCounterActor(shard=0, shards=1), metrics


async def test_reservations_are_counted_by_what_became_of_them(
    counter: tuple[Any, dict[str, Recorded]],
) -> None:
    actor, metrics = counter
    actor._combiner = Answers("granted", "limit-exceeded", "granted", "job-ended")
    await actor.reserve(msgspec.msgpack.encode(ASKED))

    assert metrics["reservations"].values == {("granted",): [2.0], ("refused",): [1.0], ("ended",): [1.0]}
    assert len(metrics["reservation_seconds"].values[()]) == 1


async def test_reservations_without_an_answer_have_failed(counter: tuple[Any, dict[str, Recorded]]) -> None:
    actor, metrics = counter
    actor._combiner = Answers()
    with pytest.raises(Unavailable):
        await actor.reserve(msgspec.msgpack.encode(ASKED))

    assert metrics["reservations"].values == {("failed",): [4.0]}
    assert metrics["reservation_seconds"].values == {}
