"""The dispatcher's keys, and the bounds of its schedules."""

from __future__ import annotations

import pytest
import ray

from pagemill.cluster.assignment import DispatcherKeys
from pagemill.settings import SettingsError, load_settings

REQUIRED = {"PAGEMILL_DATABASE_URL": "postgresql://unused", "PAGEMILL_OBJECTS_URL": "file:///unused"}


def test_an_interval_that_outlasts_the_memory_of_jobs_is_refused() -> None:
    with pytest.raises(SettingsError, match="retention_interval"):
        load_settings(REQUIRED | {"PAGEMILL_RETENTION_INTERVAL": str(7 * 86400)})


def test_the_dispatchers_keys_travel_and_are_not_shown() -> None:
    keys = DispatcherKeys(secret_keys="1:secret-key", smtp_password="mail-password")
    assert ray.cloudpickle.loads(ray.cloudpickle.dumps(keys)) == keys
    assert "secret-key" not in repr(keys)
    assert "mail-password" not in repr(keys)
