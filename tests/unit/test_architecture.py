"""docs/architecture.md names files that exist, and rooms in the order that is checked."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
PATH = re.compile(r"`((?:platform|serve_apps|train_jobs|db|docs)(?:/[\w./]+)?)`")


def module_of(path: str) -> str:
    return path.removeprefix("platform/").removesuffix(".py").replace("/", ".")


def section(title: str) -> str:
    return ARCHITECTURE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_every_file_that_is_named_exists() -> None:
    named = set(PATH.findall(ARCHITECTURE))

    assert len(named) > 40
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_the_rooms_stand_in_the_order_in_which_they_may_import() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    checked = [module.strip() for layer in layers for module in layer.split("|")]
    told = [module_of(path) for path in PATH.findall(section("Rooms"))]

    assert set(checked) - set(told) == set()
    positions = [
        next(at for at, layer in enumerate(layers) if module in re.split(r"\s*\|\s*", layer))
        for module in told
        if module in checked
    ]
    # The two of the operator's commands, and what every room uses, share a line each.
    assert positions == sorted(positions)


def test_at_least_twelve_questions_have_one_answer_each() -> None:
    rows = re.findall(r"^\| (.+\?) \| (.+) \|$", section("Where is ...?"), re.MULTILINE)

    assert len(rows) >= 12
    assert len({question for question, _ in rows}) == len(rows)
    assert [question for question, answer in rows if not PATH.search(answer)] == []


def test_every_room_is_in_the_list() -> None:
    rooms = {path.parent for path in (ROOT / "platform" / "pagemill").glob("*/__init__.py")}
    told = {ROOT / path for path in PATH.findall(section("Rooms"))}

    assert sorted(room.name for room in rooms - told) == []
