"""What the README promises is there: its program, its commands, its rooms and its figures."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import msgspec
import pytest

from pagemill.settings import Settings
from tests.support.readme import main_job_program

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "benchmarks" / "results" / "accuracy.json"


def test_the_main_job_is_a_valid_program_of_less_than_30_lines() -> None:
    program = main_job_program()

    ast.parse(program)
    assert len(program.splitlines()) < 30


def test_every_make_target_that_is_mentioned_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    mentioned = set(re.findall(r"(?:^|`)(?:PAGEMILL_DATA=DIR )?make ([a-z-]+)", README, re.MULTILINE))

    assert {"demo", "test", "help", "bench"} <= mentioned <= targets


def test_every_setting_that_is_mentioned_exists() -> None:
    mentioned = set(re.findall(r"\bPAGEMILL_([A-Z0-9_]*[A-Z0-9])\b", README)) - {"DATA"}
    known = {field.name.upper() for field in msgspec.structs.fields(Settings)}

    assert {"TOKEN_KEY", "SECRET_KEYS"} <= mentioned <= known


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
