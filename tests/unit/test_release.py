"""The release is that of the code: it stays while the code does, and changes with each file of it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

import pagemill
from pagemill import __version__
from pagemill.api.openapi.configuration import describe_api
from pagemill.cli import main
from pagemill.release import code_digest, release

ROOT = Path(__file__).parents[2]


def test_pyproject_says_the_version_and_everybody_repeats_it() -> None:
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert __version__ == said, "run `make install`"
    assert describe_api("https://localhost").version == said
    assert f"version {said}+" in CliRunner().invoke(main, ["--version"]).output
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == said
    with pytest.raises(AttributeError, match="__versoin__"):
        pagemill.__getattr__("__versoin__")


def test_it_begins_with_the_version() -> None:
    assert release().startswith(f"{__version__}+")
    assert release() == release()


def test_it_changes_with_code_alone(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    code = tmp_path / "package" / "module.py"
    code.write_text("one = 1\n")
    first = code_digest([tmp_path])
    (tmp_path / "package" / "module.pyc").write_bytes(b"compiled")
    assert code_digest([tmp_path]) == first

    code.write_text("one = 2\n")
    second = code_digest([tmp_path])
    code.rename(code.with_name("renamed.py"))
    third = code_digest([tmp_path])
    (tmp_path / "package" / "statement.sql").write_text("SELECT 1")
    assert len({first, second, third, code_digest([tmp_path])}) == 4
