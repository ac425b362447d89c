"""Comparisons of Choice states. A value of another kind than the comparison's never matches."""

from __future__ import annotations

import datetime
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["String", "Numeric", "Boolean", "Timestamp"]
Test: TypeAlias = Callable[[Any, Any], bool]

_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,12})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True, slots=True)
class Comparator:
    """A comparison; with ``by_path`` the value to compare with is the one at a path, not a constant."""

    kind: Kind
    test: Test
    by_path: bool = False


def of_kind(kind: Kind, value: Any) -> Any:
    """Return the value in the form in which it is compared, or None when it is of another kind."""
    match kind:
        case "String":
            return value if isinstance(value, str) else None
        case "Boolean":
            return value if isinstance(value, bool) else None
        case "Numeric":
            return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
        case "Timestamp":
            return timestamp(value)


def timestamp(value: Any) -> datetime.datetime | None:
    """Return the time that a text stands for, aware, or None for anything else."""
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        return None
    try:
        return datetime.datetime.fromisoformat(value)
    except ValueError:
        return None


def moment(value: Any) -> datetime.datetime | None:
    """Return the time that a text stands for in UTC, or None for anything else and outside the calendar."""
    time = timestamp(value)
    try:
        return None if time is None else time.astimezone(datetime.UTC)
    except OverflowError:
        return None


def matches_wildcards(value: str, pattern: str) -> bool:
    r"""Return whether a value matches a pattern: ``*`` is any text, ``\*`` and ``\\`` are literal."""
    first, *others = _literals(pattern)
    if not others:
        return value == first
    *middle, last = others
    if not value.startswith(first) or len(value) < len(first) + len(last):
        return False
    position, end = len(first), len(value) - len(last)
    for literal in middle:
        found = value.find(literal, position, end)
        if found < 0:
            return False
        position = found + len(literal)
    return value.endswith(last)


def _literals(pattern: str) -> list[str]:
    """Return the literal texts between the pattern's stars."""
    literals = [""]
    characters = iter(pattern)
    for character in characters:
        if character == "*":
            literals.append("")
        elif character == "\\":
            literals[-1] += next(characters, "\\")
        else:
            literals[-1] += character
    return literals


def _comparators() -> dict[str, Comparator]:
    orders: dict[str, Test] = {
        "Equals": operator.eq,
        "LessThan": operator.lt,
        "LessThanEquals": operator.le,
        "GreaterThan": operator.gt,
        "GreaterThanEquals": operator.ge,
    }
    kinds: dict[Kind, dict[str, Test]] = {
        "String": orders,
        "Numeric": orders,
        "Timestamp": orders,
        "Boolean": {"Equals": operator.eq},
    }
    found = {"StringMatches": Comparator("String", matches_wildcards)}
    for kind, tests in kinds.items():
        for name, test in tests.items():
            found[f"{kind}{name}"] = Comparator(kind, test)
            found[f"{kind}{name}Path"] = Comparator(kind, test, by_path=True)
    return found


COMPARATORS = _comparators()
IS_PRESENT = "IsPresent"
TYPE_TESTS: dict[str, Callable[[Any], bool]] = {
    "IsNull": lambda value: value is None,
    "IsString": lambda value: of_kind("String", value) is not None,
    "IsNumeric": lambda value: of_kind("Numeric", value) is not None,
    "IsBoolean": lambda value: of_kind("Boolean", value) is not None,
    "IsTimestamp": lambda value: of_kind("Timestamp", value) is not None,
}
