"""The programs and files that docs/workflows.md shows."""

from __future__ import annotations

import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "workflows.md"
BLOCK = re.compile(r"^```(?:python|toml)\n# ([\w.]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def files_shown() -> dict[str, str]:
    """Return the files of the document, which are named in their first lines."""
    return dict(BLOCK.findall(DOCUMENT.read_text()))


def write_functions(directory: Path) -> str:
    """Write the functions of the document, and return the path of the file that maps them."""
    shown = files_shown()
    for name in ("functions.toml", "steps.py"):
        (directory / name).write_text(shown[name])
    return str(directory / "functions.toml")
