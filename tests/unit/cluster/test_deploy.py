"""A deployment that cannot begin is one line and an exit status."""

from __future__ import annotations

import logging

import pytest

from pagemill.cluster.deploy import main


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("PAGEMILL_DATABASE_URL", "postgresql://unused")
    monkeypatch.setenv("PAGEMILL_OBJECTS_URL", "file:///unused")
    monkeypatch.setenv("PAGEMILL_READING_CPUS", "many")
    with caplog.at_level(logging.ERROR):
        assert main() == 1
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("nothing was deployed: SettingsError:")
    assert "reading_cpus" in line
