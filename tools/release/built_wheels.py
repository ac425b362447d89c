"""Wheels of packages that the package index has sources of only: nodes and containers install wheels.

They are built when a release is made, from sources with the hashes that are written down in the repository.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.release.constraints import parse
from tools.release.programs import run

SOURCES = Path(__file__).parent / "built_wheels.txt"


def build_wheels(directory: Path) -> list[str]:
    """Build the wheels into a directory, and return the names of the packages. Raises ReleaseError."""
    command: list[str | Path] = [
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--require-hashes"),
        # With the pinned setuptools of this environment: an isolated build would take the newest one.
        *("--no-binary", ":all:", "--no-build-isolation", "--wheel-dir", directory, "-r", SOURCES),
    ]
    run(command, cwd=directory)
    return [pin.name for pin in parse(SOURCES.read_text())]
