"""What the README promises is there: its program, its commands, its rooms and its figures."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from tests.support.mentioned import (
    commands_in,
    known_settings,
    make_targets,
    settings_in,
    targets_in,
    unknown_in,
)
from tests.support.readme import main_job_program

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "benchmarks" / "results" / "accuracy.json"


def test_the_main_job_is_a_valid_program_of_less_than_30_lines() -> None:
    program = main_job_program()

    ast.parse(program)
    assert len(program.splitlines()) < 30


def test_every_make_target_that_is_mentioned_exists() -> None:
    assert {"demo", "test", "help", "bench"} <= targets_in(README) <= make_targets()


def test_every_setting_that_is_mentioned_exists() -> None:
    assert {"TOKEN_KEY", "SECRET_KEYS"} <= settings_in(README) - {"DATA"} <= known_settings()


def test_every_command_that_is_mentioned_exists() -> None:
    commands = commands_in(README)

    assert ["up"] in commands
    assert [(one, unknown) for one in commands for unknown in unknown_in(one)] == []


def test_every_room_that_is_mentioned_exists() -> None:
    rooms = re.findall(r"^\| `([^`]+)` \|", README, re.MULTILINE)

    assert len(rooms) >= 10
    assert [room for room in rooms if not (ROOT / room).is_dir()] == []


def test_the_figures_are_those_that_were_measured() -> None:
    if not RESULTS.exists():
        pytest.skip("benchmarks/results/accuracy.json is not there yet")
    for name, corpus in json.loads(RESULTS.read_text())["corpora"].items():
        for gate in corpus["gates"].values():
            assert re.search(rf"^\| {name}\b.*\b{gate['reached']:.1f}\b", README, re.MULTILINE), (name, gate)
