"""Computed parts of documents: what is between two marks is replaced, and each setting is described."""

from __future__ import annotations

import inspect

import pytest

from pagemill import settings
from tools.documents import parts
from tools.documents.settings_table import documented_settings


def test_only_what_is_between_the_marks_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PARTS", {"one": lambda: "new\n"})
    text = "before\n<!-- begin one -->\nold\nand old\n<!-- end one -->\nafter\n"
    assert parts.filled(text) == "before\n<!-- begin one -->\nnew\n<!-- end one -->\nafter\n"
    assert parts.filled(parts.filled(text)) == parts.filled(text)


def test_an_unknown_part_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        parts.filled("<!-- begin nothing -->\n<!-- end nothing -->\n")


def test_defaults_and_references_are_shown() -> None:
    found = {one.name: one for one in documented_settings()}
    assert found["PAGEMILL_DATABASE_URL"].default == "required"
    assert found["PAGEMILL_S3_ENDPOINT_URL"].default == "not set"
    assert found["PAGEMILL_JOB_LEASE"].default == "`20`"
    assert found["PAGEMILL_WEBHOOK_PRIVATE_TARGETS"].default == "`false`"
    assert "`PAGEMILL_SMTP_HOST`" in found["PAGEMILL_MAIL_SENDER"].meaning


def test_a_setting_that_is_not_described_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    source = inspect.getsource(settings)
    text = '    """Region of the bucket."""\n'
    assert text in source
    monkeypatch.setattr(inspect, "getsource", lambda _: source.replace(text, ""))
    with pytest.raises(ValueError, match="the setting s3_region is not described"):
        documented_settings()
