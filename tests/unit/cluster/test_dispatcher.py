"""What a stack's dispatcher does by itself follows from the settings."""

from __future__ import annotations

import pytest
import ray

from pagemill.cluster.dispatcher import DispatcherKeys, schedules_of
from pagemill.jobs.schedule import ORGANIZATIONS
from pagemill.settings import Settings, SettingsError, load_settings

REQUIRED = {"PAGEMILL_DATABASE_URL": "postgresql://unused", "PAGEMILL_OBJECTS_URL": "file:///unused"}


def test_housekeeping_is_done_unless_it_is_turned_off() -> None:
    settings = Settings(database_url="postgresql://unused", objects_url="file:///unused")
    assert {schedule.kind: schedule.interval for schedule in schedules_of(settings)} == {
        "retention": 3600.0,
        "object-sweep": 86400.0,
        "month-statement": 3600.0,
        "limit-warnings": 300.0,
    }
    assert {schedule.kind for schedule in schedules_of(settings)} == set(ORGANIZATIONS)
    intervals = ("RETENTION", "OBJECT_SWEEP", "MONTH_STATEMENT", "LIMIT_WARNING")
    off = load_settings(REQUIRED | {f"PAGEMILL_{name}_INTERVAL": "0" for name in intervals})
    assert schedules_of(off) == []


def test_an_interval_that_outlasts_the_memory_of_jobs_is_refused() -> None:
    with pytest.raises(SettingsError, match="retention_interval"):
        load_settings(REQUIRED | {"PAGEMILL_RETENTION_INTERVAL": str(7 * 86400)})


def test_the_dispatchers_keys_travel_and_are_not_shown() -> None:
    keys = DispatcherKeys(secret_keys="1:secret-key", smtp_password="mail-password")
    assert ray.cloudpickle.loads(ray.cloudpickle.dumps(keys)) == keys
    assert "secret-key" not in repr(keys)
    assert "mail-password" not in repr(keys)
