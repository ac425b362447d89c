"""Objects that Ray moved from memory to disk: words of documents, which it leaves there when it is killed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_DIRECTORIES: Final = "ray_spilled_objects*"
_OPTION: Final = "--object-spilling-directory="


def remove_spilled_objects(directory: Path) -> None:
    """Remove what a Ray that has ended has spilled below a directory."""
    for spilled in directory.glob(_DIRECTORIES):
        shutil.rmtree(spilled, ignore_errors=True)


def spilling_directories(arguments: Sequence[str]) -> list[Path]:
    """Return the directories that arguments of ``ray start`` name for it."""
    return [Path(one.removeprefix(_OPTION)).expanduser() for one in arguments if one.startswith(_OPTION)]
