"""Reference paths: JSONPaths that name at most one value, so that reading one takes linear time."""

from __future__ import annotations

import functools
from typing import Any, Final

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError

from pagemill.errors import BadRequest

LONGEST_PATH = 512
MISSING: Final = object()
"""Result of reading a path that is not in the data; null is a value."""

_ENVIRONMENT = JSONPathEnvironment(strict=True)


def checked_path(text: Any, member: str) -> str:
    """Return the path as given. Raises BadRequest unless it is a path that names at most one value."""
    if not isinstance(text, str) or len(text) > LONGEST_PATH:
        raise BadRequest(f"{member}: must be a path of at most {LONGEST_PATH} characters")
    try:
        path = _compiled(text)
    except (JSONPathError, RecursionError):
        raise BadRequest(f"{member}: is not a path like $.member") from None
    if not path.singular_query():
        raise BadRequest(f"{member}: must name a single value: no wildcards, slices, filters or descendants")
    return text


def read_path(text: str, data: Any) -> Any:
    """Return the value at a checked path, or MISSING."""
    found = _compiled(text).findall(data)
    return found[0] if found else MISSING


@functools.lru_cache(maxsize=1024)
def _compiled(text: str) -> JSONPath:
    path = _ENVIRONMENT.compile(text)
    if not isinstance(path, JSONPath):
        raise JSONPathError("is compound")
    return path
