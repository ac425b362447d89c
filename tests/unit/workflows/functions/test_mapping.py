"""Functions are found by name and version, in the operator's file and among installed packages."""

from __future__ import annotations

import os
import re
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from pagemill.ids import OrganizationId
from pagemill.workflows.functions import mapping
from pagemill.workflows.functions.mapping import GROUPS, UNREADABLE, FunctionMapping, FunctionMissing

MINE, OTHER = OrganizationId("las:organization:mine"), OrganizationId("las:organization:other")
FUNCTIONS, COMMONS = GROUPS
INSTALLED = EntryPoints(
    [
        EntryPoint("round", "packaged.steps:round", FUNCTIONS),
        EntryPoint("total", "packaged.steps:total", FUNCTIONS),
        EntryPoint("count", "packaged.steps:count", COMMONS),
    ]
)
FILE = """
[functions]
total = "steps:total"
"total:2" = "steps:Newer.total"
private = { callable = "steps:private", organizations = ["las:organization:mine"] }

[commons]
total = "steps:shared_total"
"""


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        mapping.importlib.metadata, "entry_points", lambda group: INSTALLED.select(group=group)
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "functions.toml"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize(
    ("lambda_id", "function"),
    [
        ("las:lambda:total:1", "steps:total"),
        ("las:lambda:total:2", "steps:Newer.total"),
        ("las:lambda:round:7", "packaged.steps:round"),
        ("las:lambda:private:1", "steps:private"),
        ("las:transition:commons-total", "steps:shared_total"),
        ("las:transition:commons-count", "packaged.steps:count"),
    ],
)
def test_a_function_is_found(file: Path, lambda_id: str, function: str) -> None:
    functions = FunctionMapping(file)
    assert functions.find(lambda_id, MINE).callable == function
    assert functions.directory == str(file.parent)


@pytest.mark.parametrize("lambda_id", ["las:lambda:totals:1", "las:lambda:2:total", "las:lambda:count:1"])
def test_a_message_says_how_to_add_one(file: Path, lambda_id: str) -> None:
    with pytest.raises(FunctionMissing, match=r"\[functions\].*PAGEMILL_FUNCTIONS_FILE.*docs/workflows\.md"):
        FunctionMapping(file).find(lambda_id, MINE)


def test_a_message_names_the_table_of_commons(file: Path) -> None:
    with pytest.raises(FunctionMissing, match=r'"private" = .* below \[commons\].*group pagemill\.commons'):
        FunctionMapping(file).find("las:transition:commons-private", MINE)


def test_others_may_not_know_that_there_is_one(file: Path) -> None:
    functions = FunctionMapping(file)
    with pytest.raises(FunctionMissing) as private:
        functions.find("las:lambda:private:1", OTHER)
    with pytest.raises(FunctionMissing) as unknown:
        functions.find("las:lambda:nothing:1", OTHER)
    assert private.value.message.replace("private", "nothing") == unknown.value.message


def test_without_a_file_there_are_those_of_packages() -> None:
    functions = FunctionMapping(None)
    assert functions.find("las:lambda:total:1", MINE).callable == "packaged.steps:total"
    assert functions.directory is None


def test_a_changed_file_counts_at_once(file: Path) -> None:
    functions = FunctionMapping(file)
    functions.find("las:lambda:total:1", MINE)
    file.write_text('[functions]\ntotal = "changed:total"\n')
    assert functions.find("las:lambda:total:1", MINE).callable == "changed:total"
    with pytest.raises(FunctionMissing):
        functions.find("las:lambda:private:1", MINE)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[functions", "Expected"),
        ("[functions]\na = 1", r"\$\.functions"),
        ('[functions]\na = "steps"', r"\$\.functions"),
        ('[functions]\na = "steps:x; import os"', r"\$\.functions"),
        ('[functions]\na = {callable = "a:b", organisation = []}', "organisation"),
        ("[function]\n", "function"),
        ("\udc80", "decode"),
    ],
)
def test_a_broken_file_is_named_to_the_operator(
    file: Path, text: str, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_bytes(os.fsencode(text))
    with pytest.raises(FunctionMissing) as unreadable:
        FunctionMapping(file).find("las:lambda:total:1", MINE)
    assert re.search(f"PAGEMILL_FUNCTIONS_FILE: {file}: .*{named}", caplog.text)
    assert unreadable.value.message == UNREADABLE


def test_a_file_that_is_gone_is_named_to_the_operator(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(FunctionMissing, match=UNREADABLE):
        FunctionMapping(tmp_path / "none.toml").find("las:lambda:total:1", MINE)
    assert "No such file" in caplog.text
