"""Rehearsal of models: what is drawn, what a replica counts, and the verdict on what was seen."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from benchmarks.rehearsal_models import SEED, holds_bounds, judge
from benchmarks.stub_models import HELD, MEGABYTES, MODELS, Counts, PretendedModel, Served, draw, size_of
from serve_apps.model_cache import ModelCache

GOOD = {"failed": 0, "hitRate": 0.9, "hotModelReplicas": 2}


def test_requests_are_drawn_by_zipf_and_again_the_same() -> None:
    drawn = Counter(draw(SEED, 20_000))
    (first, many), (_, fewer) = drawn.most_common(2)
    assert 0.15 < many / 20_000 < 0.19
    assert 0.4 < fewer / many < 0.6
    assert len(drawn) == MODELS
    assert draw(SEED, 20_000)[0] == draw(SEED, 1)[0]
    assert first.startswith("organizations/o/trainings/0/")


def test_sizes_are_spread_between_the_bounds() -> None:
    sizes = [size_of(model) for model in set(draw(SEED, 20_000))]
    assert min(sizes) >= MEGABYTES[0]
    assert max(sizes) <= MEGABYTES[1]
    assert len(set(sizes)) > 20


async def test_one_replica_that_holds_a_third_of_the_models_would_not_keep_the_bound() -> None:
    """The bound is kept by the router: with all models on every replica most loads would be repeated."""
    counts = Counts()

    async def fetch(key: str) -> PretendedModel:
        return PretendedModel(size_of(key))

    async def build(model: PretendedModel) -> PretendedModel:
        return model

    cache = ModelCache(
        fetch,
        build,
        lambda model: model.size,
        maximum_bytes=HELD * sum(MEGABYTES) // 2,
        loads_at_once=2,
        observer=counts,
    )
    for model in draw(SEED, 2000):
        async with cache.use(model):
            await asyncio.sleep(0)
    assert counts.hits + counts.misses == 2000
    assert counts.evictions > 0
    assert counts.hits / 2000 < 0.9


def served(model: str, replica: str, hits: int, misses: int) -> Served:
    return Served(model, replica, 0.1, hits, misses, evictions=1)


def test_figures_are_those_of_all_callers_and_replicas() -> None:
    hot = max(set(draw(SEED, 1000)), key=draw(SEED, 1000).count)
    first = [served(hot, "a", 0, 1), served(hot, "a", 1, 1), served("other", "b", 0, 1)]
    second = [served(hot, "b", 0, 2), served("other", "b", 1, 2)]
    seen = judge([first, second], failed_of=6)
    assert seen["requests"] == 5
    assert seen["failed"] == 1
    assert seen["hitRate"] == pytest.approx(0.4)
    assert seen["hotModelReplicas"] == 2
    assert seen["replicasPerModel"] == 1.5
    assert seen["busiestReplicaOverMean"] == pytest.approx(2.4)


def test_nothing_served_does_not_hold() -> None:
    assert not holds_bounds(judge([[], []], failed_of=10))


@pytest.mark.parametrize("worse", [{"failed": 1}, {"hitRate": 0.899}, {"hotModelReplicas": 1}])
def test_each_bound_counts(worse: dict[str, float]) -> None:
    assert holds_bounds(GOOD)
    assert not holds_bounds(GOOD | worse)
