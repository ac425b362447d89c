"""Paths into data: JSONPaths that are read in a time linear in the data.

They have names, indexes, wildcards and slices. Filters, descendants and several selectors in one pair of
brackets are refused: with them a short path could take for ever, or find more than there is. Reference paths
have names and indexes only, so they name at most one value.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError
from jsonpath.segments import JSONPathRecursiveDescentSegment, JSONPathSegment
from jsonpath.selectors import IndexSelector, NameSelector, SliceSelector, WildcardSelector

from pagemill.errors import BadRequest
from pagemill.workflows.failures import RESULT_PATH, StateFailed
from pagemill.workflows.work_bounds import Work

LONGEST_PATH = 512
NODES_OF_WORK = 32
MISSING: Final = object()
"""Result of reading a path that is not in the data; null is a value."""
REFUSED: Final = object()

Step: TypeAlias = str | int | slice | None
"""Name, index, slice, or None for every member."""

_ENVIRONMENT = JSONPathEnvironment(strict=True)
# The library takes 10 microseconds for a segment: a definition full of them would take a second to judge. So
# it reads what is not plain only, which has at least eight bytes for each segment.
# Names may have hyphens, as in the examples of the Amazon States Language; RFC 9535 wants quotes then.
_INDEX = r"(?:0|-?[1-9][0-9]{0,8})"
_PLAIN_SEGMENT = (
    r"\.(?P<name>[A-Za-z_][-0-9A-Za-z_]*)|(?P<every>\.\*|\[ *\* *\])"
    rf"|\[ *(?P<index>{_INDEX}) *\]"
    r"|\[ *'(?P<single>[^'\\\x00-\x1f]*)' *\]|\[ *\"(?P<double>[^\"\\\x00-\x1f]*)\" *\]"
    rf"|\[ *(?P<slice>{_INDEX}? *: *{_INDEX}? *(?:: *{_INDEX}? *)?)\]"
)
_SEGMENT = re.compile(_PLAIN_SEGMENT)
_PLAIN = re.compile(rf"\$(?:{re.sub('[?]P<[a-z]+>', '?:', _PLAIN_SEGMENT)})*+")
_TABS = re.compile(r"[\t\r\n]")


class PathMissing(Exception):
    """A path names a value that is not in the data."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path into a state's data or, starting with ``$$``, into the context object."""

    text: str
    steps: tuple[Step, ...]
    of_context: bool = False

    @property
    def is_reference(self) -> bool:
        """Return whether it names at most one value."""
        return all(isinstance(step, str | int) for step in self.steps)

    def find(self, data: Any, work: Work | None = None) -> Any:
        """Return the value of a reference path, or MISSING; of others the list of all values found."""
        for position, step in enumerate(self.steps):
            if not isinstance(step, str | int):
                return self._find_all(data, position, work)
            data = _child(data, step)
            if data is MISSING:
                return MISSING
        return data

    def _find_all(self, data: Any, position: int, work: Work | None) -> list[Any]:
        found = [data]
        for step in self.steps[position:]:
            if isinstance(step, str | int):
                found = [child for node in found if (child := _child(node, step)) is not MISSING]
            else:
                found = [child for node in found for child in _children(node, step)]
            if work is not None:
                work.spend(len(found) // NODES_OF_WORK)
        return found


def _child(data: Any, step: str | int) -> Any:
    if isinstance(step, str):
        return data.get(step, MISSING) if isinstance(data, dict) else MISSING
    if not isinstance(data, list) or not -len(data) <= step < len(data):
        return MISSING
    return data[step]


def _children(data: Any, step: slice | None) -> list[Any]:
    if isinstance(data, dict):
        return [] if step else list(data.values())
    return data[step or slice(None)] if isinstance(data, list) else []


def read_query(text: Any, member: str) -> Path:
    """Read a path that may name several values. Raises BadRequest naming the member."""
    path = _read(text, member)
    if path is None:
        raise BadRequest(
            f"{member}: must have names, indexes, wildcards and slices only: no filters, no descendants"
        )
    return path


def read_reference(text: Any, member: str) -> Path:
    """Read a path that names at most one value. Raises BadRequest naming the member."""
    path = _read(text, member)
    if path is None or not path.is_reference:
        raise BadRequest(f"{member}: must name a single value: no wildcards, slices, filters or descendants")
    return path


def read_target(text: Any, member: str) -> Path:
    """Read a reference path into a state's data, at which a result is put. Raises BadRequest."""
    path = read_reference(text, member)
    if path.of_context:
        raise BadRequest(f"{member}: must be a path into the data, not into the context object")
    return path


def _read(text: Any, member: str) -> Path | None:
    """Return the path, or None when it has selectors that are not allowed."""
    if not isinstance(text, str) or len(text) > LONGEST_PATH:
        raise BadRequest(f"{member}: must be a path of at most {LONGEST_PATH} characters")
    try:
        return _compiled(text)
    except (JSONPathError, RecursionError):
        raise BadRequest(f"{member}: is not a path like $.member") from None


@functools.lru_cache(maxsize=1024)
def _compiled(text: str) -> Path | None:
    of_context = text.startswith("$$")
    expression = text[1:] if of_context else text
    if _PLAIN.fullmatch(expression):
        plain = [_plain_step(match) for match in _SEGMENT.finditer(expression)]
        return None if REFUSED in plain else Path(text, tuple(plain), of_context)  # type: ignore[arg-type]
    if _TABS.search(expression):
        raise JSONPathError("has tabs or line breaks")
    path = _ENVIRONMENT.compile(expression)
    if not isinstance(path, JSONPath):
        raise JSONPathError("is compound")
    steps = [_step(segment) for segment in path.segments]
    return None if REFUSED in steps else Path(text, tuple(steps), of_context)  # type: ignore[arg-type]


def _plain_step(match: re.Match[str]) -> Step | object:
    text = match[match.lastgroup or ""]
    match match.lastgroup:
        case "index":
            return int(text)
        case "every":
            return None
        case "slice":
            bounds = [int(bound) if bound.strip() else None for bound in text.split(":")]
            return REFUSED if bounds[2:] == [0] else slice(*bounds)
        case _:
            return text


def _step(segment: JSONPathSegment) -> Step | object:
    """Return the only selector of a segment, or REFUSED."""
    if isinstance(segment, JSONPathRecursiveDescentSegment) or len(segment.selectors) != 1:
        return REFUSED
    match segment.selectors[0]:
        case NameSelector(name=name):
            return name
        case IndexSelector(index=index):
            return index
        case WildcardSelector():
            return None
        case SliceSelector(slice=chosen) if chosen.step != 0:
            return chosen
        case _:
            return REFUSED


def put(target: Path, data: Any, value: Any) -> Any:
    """Return the data with a value at a path; the given data stay as they are. Raises StateFailed."""
    result = [data]
    holder: Any = result
    key: Any = 0
    for step in target.steps:
        holder[key] = _copy(holder[key], step, target)
        holder, key = holder[key], step
    holder[key] = value
    return result[0]


def _copy(data: Any, step: Step, target: Path) -> dict[str, Any] | list[Any]:
    """Return a copy of a list or object in which the step can be set."""
    if isinstance(step, str) and isinstance(data, dict):
        return {**data, step: data.get(step, {})}
    if isinstance(step, int) and isinstance(data, list) and -len(data) <= step < len(data):
        return list(data)
    raise StateFailed(RESULT_PATH, f"The data have no place for a result at {target.text}")
