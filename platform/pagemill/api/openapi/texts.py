"""Texts of the document that belong to no single handler, from the files in ``texts/``."""

from __future__ import annotations

import functools
import tomllib
from importlib.resources import files
from typing import Any


def read_introduction() -> str:
    """Return the description of the whole API, in Markdown."""
    return files(__package__).joinpath("texts", "introduction.md").read_text()


@functools.cache
def read_texts(name: str) -> dict[str, Any]:
    """Return the descriptions in ``texts/<name>.toml``."""
    return tomllib.loads(files(__package__).joinpath("texts", f"{name}.toml").read_text())
