"""A dispatcher runs as many predictions as the replicas have use for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ray import serve

from pagemill.cluster.assignment import Share
from pagemill.cluster.scaling.slots import follow_capacity, prediction_slots, running_readers
from pagemill.concurrency import cancel_and_wait
from pagemill.settings import Settings

DEADLINE = 60.0
ALL = Share()


@pytest.fixture
def settings() -> Settings:
    return Settings(database_url="postgresql://unused", objects_url="file:///unused", reading_cpus=3.0)


@pytest.mark.parametrize(("replicas", "slots"), [(0, 32), (1, 32), (6, 32), (7, 35), (60, 300)])
def test_slots_follow_the_places_of_the_replicas(settings: Settings, replicas: int, slots: int) -> None:
    assert prediction_slots(settings, replicas) == slots


class RecordingDispatcher:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def set_concurrency(self, name: str, concurrency: int) -> None:
        self.told.append((name, concurrency))


async def follow(
    settings: Settings, answers: list[int | Exception], share: Share = ALL
) -> list[tuple[str, int]]:
    """Return what a dispatcher was told while Serve gave these answers."""
    dispatcher, asked = RecordingDispatcher(), asyncio.Event()
    loop = asyncio.get_running_loop()
    left: Iterator[int | Exception] = iter(answers)

    def replicas() -> int:
        answer = next(left, None)
        if answer is None:
            loop.call_soon_threadsafe(asked.set)
            raise RuntimeError("no more answers")
        if isinstance(answer, Exception):
            raise answer
        return answer

    following = asyncio.create_task(
        follow_capacity(dispatcher, settings, share, replicas=replicas, interval=0.0)  # type: ignore[arg-type]
    )
    await asyncio.wait_for(asked.wait(), DEADLINE)
    assert not following.done()
    await cancel_and_wait([following])
    return dispatcher.told


async def test_only_changes_are_told(settings: Settings) -> None:
    told = await follow(settings, [1, 2, 10, 10, 20, 20, 1])

    assert told == [("prediction", 50), ("prediction", 100), ("prediction", 32)]


@pytest.mark.parametrize("dispatchers", [1, 2, 3, 7, 50])
def test_dispatchers_together_run_what_one_would(settings: Settings, dispatchers: int) -> None:
    for together in (1, 2, 32, prediction_slots(settings, 61)):
        shares = [Share(number, dispatchers).slots(together) for number in range(dispatchers)]
        assert sum(shares) == together
        assert max(shares) - min(shares) <= 1


async def test_a_dispatcher_is_told_its_share(settings: Settings) -> None:
    told = await follow(settings, [10, 20], Share(1, 8))

    assert told == [("prediction", 7), ("prediction", 13)]


async def test_what_serve_does_not_tell_changes_nothing(settings: Settings) -> None:
    told = await follow(settings, [10, RuntimeError("planted"), ValueError("planted"), 10])

    assert told == [("prediction", 50)]


@pytest.mark.parametrize(
    ("applications", "expected"),
    [
        ({}, 0),
        ({"prediction": {"RUNNING": 3}}, 0),
        ({"reading": {"RUNNING": 3, "STARTING": 2, "STOPPING": 1}, "prediction": {"RUNNING": 9}}, 3),
    ],
)
def test_only_reading_replicas_that_answer_count(
    monkeypatch: pytest.MonkeyPatch, applications: dict[str, dict[str, int]], expected: int
) -> None:
    def status() -> Any:
        return SimpleNamespace(
            applications={
                name: SimpleNamespace(deployments={"one": SimpleNamespace(replica_states=states)})
                for name, states in applications.items()
            }
        )

    monkeypatch.setattr(serve, "status", status)

    assert running_readers() == expected
