"""Names of Ray's variables, as they stand in its installed files: no list of them exists."""

from __future__ import annotations

import functools
import mmap
import re
from importlib.util import find_spec
from pathlib import Path

RAYLET = "core/src/ray/raylet/raylet"
"""Program that has the names of all of Ray's configuration."""
WORD = re.compile(rb"RAY_[A-Za-z0-9_]+")


@functools.cache
def ray_names() -> frozenset[str]:
    """Return the variables that Ray reads, in Python or in its programs, and some other words of its."""
    found = find_spec("ray")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("ray is not installed", name="ray")
    root = Path(found.submodule_search_locations[0])
    words = {word for path in root.rglob("*.py") for word in WORD.findall(path.read_bytes())}
    with (
        (root / RAYLET).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as program,
    ):
        words.update(WORD.findall(program))
    return frozenset(word.decode() for word in words)
