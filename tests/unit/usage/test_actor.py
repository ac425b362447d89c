"""The usage counter actor as Ray shows it."""

from __future__ import annotations

import pytest

from pagemill.settings import Settings, to_environment
from pagemill.usage.actor import UsageCounterActor, counter_name


def test_the_dashboard_says_which_shard_an_actor_has(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(database_url="postgresql://unused", objects_url="file:///unused")
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert repr(UsageCounterActor(shard=1, shards=3)) == "UsageCounterActor(shard 2 of 3)"
    assert counter_name(1, "0.1.0+abc") == "usage-counter-1@0.1.0+abc"
