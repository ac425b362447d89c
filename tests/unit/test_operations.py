"""What docs/operations.md tells an operator to use is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pagemill.cli import main
from tests.chaos.faults import FAULTS
from tests.support.mentioned import (
    commands_in,
    known_settings,
    make_targets,
    settings_in,
    targets_in,
    unknown_in,
)

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
OF_THE_COMMAND = {"DATA_DIR", "DATABASE_OWNER_URL"}
VARIABLE = re.compile(r"\.\.\.|^(?:api|apps|ray|Reading) |[()]|: |the Ray head ended")
OF_THE_TESTS = {"CHAOS_SEED", "CHAOS_HISTORIES"}


def test_every_command_that_is_mentioned_exists() -> None:
    commands = commands_in(OPERATIONS)

    assert len(commands) > 20
    assert [(one, unknown) for one in commands for unknown in unknown_in(one)] == []


def test_every_command_is_mentioned() -> None:
    mentioned = {one[0] for one in commands_in(OPERATIONS) if one}

    assert set(main.commands) - mentioned == set()


@pytest.mark.parametrize(
    ("command", "unknown"),
    [
        ("jobs list --state failed --kind training", []),
        ("jobs show JOB", []),
        ("jobs explode JOB", ["explode"]),
        ("jobs list --colour red", ["--colour"]),
        ("launch", ["launch"]),
    ],
)
def test_what_does_not_exist_is_found_out(command: str, unknown: list[str]) -> None:
    [arguments] = commands_in(f"Some text, `pagemill {command}` in it")

    assert list(unknown_in(arguments)) == unknown


def test_every_make_target_that_is_mentioned_exists() -> None:
    assert {"chaos", "test"} <= targets_in(OPERATIONS) <= make_targets()


def test_every_setting_that_is_mentioned_exists() -> None:
    mentioned = settings_in(OPERATIONS) - OF_THE_COMMAND - OF_THE_TESTS

    assert {"JOB_LEASE", "OBJECT_GRACE"} <= mentioned <= known_settings()


def test_every_fault_of_the_suite_is_described() -> None:
    headings = " ".join(re.findall(r"^### (.*)$", OPERATIONS, re.MULTILINE)).lower()

    assert [fault.name for fault in FAULTS if fault.name.lower() not in headings] == []


def test_every_line_of_a_log_that_is_quoted_is_written_somewhere() -> None:
    """Names and whatever dots stand for are put into it when it is written."""
    sources = "\n".join(
        path.read_text()
        for room in ("platform", "serve_apps", "train_jobs")
        for path in (ROOT / room).rglob("*.py")
    )
    quoted = re.findall(r"^> (.+)$", OPERATIONS, re.MULTILINE)
    parts = [part.strip() for line in quoted for part in VARIABLE.split(line)]

    assert len(quoted) > 8
    assert [part for part in parts if len(part) > 3 and part not in sources] == []
