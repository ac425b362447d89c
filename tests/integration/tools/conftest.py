"""The packages of a release, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.release.packages import build

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the source distribution and the wheel."""
    directory = tmp_path_factory.mktemp("built")
    build(ROOT, directory)
    return directory
