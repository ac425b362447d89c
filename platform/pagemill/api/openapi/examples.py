"""Examples of requests and answers, as tests/integration/api/openapi/test_examples.py records them."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

DIRECTORY = "examples"


class Example(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One call of an operation; a member that is UNSET has no place in it."""

    path: dict[str, str] = {}
    query: dict[str, Any] = {}
    request: Any | UnsetType = UNSET
    answer: Any | UnsetType = UNSET


def read_examples() -> dict[str, Example]:
    """Return the examples by operation id; each tag has a file of its own."""
    examples: dict[str, Example] = {}
    for file in files(__package__).joinpath(DIRECTORY).iterdir():
        examples |= msgspec.json.decode(file.read_bytes(), type=dict[str, Example])
    return examples
