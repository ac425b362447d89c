"""mypy reports a statement that is called wrongly."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# Not by the whole path: mypy remembers that of a former run.
ERROR = re.compile(r"calls\.py:(\d+): error: (.*)")
CALLS = """
from db.assets import get_asset
from db.statements import Connection
from pagemill.ids import AssetId, DatasetId, OrganizationId


async def call(connection: Connection, organization: OrganizationId, asset: AssetId, other: DatasetId) -> str:
    row = await get_asset(connection, organization_id=organization, asset_id=asset)  # right
    await get_asset(connection, organization_id=asset, asset_id=organization)  # swapped
    await get_asset(connection, organization_id=organization, asset_id=other)  # of another type
    await get_asset(connection, organization_id=organization)  # missing
    await get_asset(connection, organization, asset)  # positional
    return row.name  # perhaps None
"""


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """What mypy says of the calls above, by line."""
    directory = tmp_path_factory.mktemp("calls")
    path = directory / "calls.py"
    path.write_text(CALLS)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", "--no-pretty", path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    errors: dict[int, str] = {}
    for number, message in ERROR.findall(done.stdout):
        errors[int(number)] = errors.get(int(number), "") + message
    assert errors, done.stdout + done.stderr
    return errors


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("# swapped", "incompatible type"),
        ("# of another type", 'expected "AssetId"'),
        ("# missing", 'Missing named argument "asset_id"'),
        ("# positional", "Too many positional arguments"),
        ("# perhaps None", "has no attribute"),
    ],
)
def test_a_wrong_call_is_reported(reported: dict[int, str], comment: str, message: str) -> None:
    (line,) = (number for number, text in enumerate(CALLS.splitlines(), start=1) if comment in text)
    assert message in reported[line]


def test_a_right_call_is_not(reported: dict[int, str]) -> None:
    (line,) = (number for number, text in enumerate(CALLS.splitlines(), start=1) if "# right" in text)
    assert line not in reported
