"""Intrinsic functions of the Amazon States Language. Bounded by the size of their arguments and results."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, Final

import msgspec

from pagemill.storable_text import has_nul
from pagemill.workflows.failures import INTRINSIC, StateFailed
from pagemill.workflows.work_bounds import Work

LONGEST_RANGE = 1000
MOST_ARGUMENTS = 1000
GREATEST_INTEGER = 2**63 - 1
_PIECE = re.compile(r"(?:[^\\{}]|\\.)*+", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_HASHES: Final = {
    "MD5": hashlib.md5,
    "SHA-1": hashlib.sha1,
    "SHA-256": hashlib.sha256,
    "SHA-384": hashlib.sha384,
    "SHA-512": hashlib.sha512,
}


@dataclass(frozen=True, slots=True)
class Function:
    """A function, and how many arguments it takes."""

    apply: Callable[..., Any]
    least: int
    most: int
    random: bool = False
    """Takes the work of the decision first."""


def failed(cause: str) -> StateFailed:
    """Return the failure of a function whose arguments are wrong."""
    return StateFailed(INTRINSIC, cause)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise failed(f"{what} must be a string")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise failed(f"{what} must be an array")
    return value


def _integer(value: Any, what: str) -> int:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or abs(value) > GREATEST_INTEGER:
        raise failed(f"{what} must be a whole number")
    return int(value)


def unescaped(text: str) -> str:
    r"""Return a text with ``\x`` replaced by ``x``."""
    return _ESCAPE.sub(r"\1", text)


def format_pieces(template: str) -> list[str] | None:
    r"""Return the texts around the ``{}`` of a template, or None when a brace is neither that nor ``\{``."""
    pieces, position = [], 0
    while True:
        match = _PIECE.match(template, position)
        position = match.end() if match else position
        pieces.append(unescaped(match[0]) if match else "")
        if position == len(template):
            return pieces
        if not template.startswith("{}", position):
            return None
        position += 2


def _format(template: Any, *values: Any) -> str:
    pieces = format_pieces(_text(template, "The template of States.Format"))
    if pieces is None or len(pieces) != len(values) + 1:
        raise failed("States.Format needs as many values as its template has {}")
    shown = (value if isinstance(value, str) else _json(value) for value in values)
    return "".join(chain.from_iterable(zip_longest(pieces, shown, fillvalue="")))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _string_to_json(text: Any) -> Any:
    raw = _text(text, "The argument of States.StringToJson")
    if has_nul(raw.encode()):
        raise failed("States.StringToJson cannot take the character U+0000")
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise failed("The argument of States.StringToJson is not JSON") from None


def _partition(array: Any, size: Any) -> list[Any]:
    items, length = _list(array, "The array"), _integer(size, "The size of the parts")
    if length < 1:
        raise failed("The size of the parts must be at least 1")
    return [items[start : start + length] for start in range(0, len(items), length)]


def _range(first: Any, last: Any, step: Any) -> list[int]:
    start, end, by = (_integer(value, "An argument of States.ArrayRange") for value in (first, last, step))
    if by == 0:
        raise failed("The step of States.ArrayRange must not be 0")
    found = range(start, end + (1 if by > 0 else -1), by)
    if start != end and (end - start) // by >= LONGEST_RANGE:
        raise failed(f"States.ArrayRange makes at most {LONGEST_RANGE} numbers")
    return list(found)


def _get_item(array: Any, index: Any) -> Any:
    items, position = _list(array, "The array"), _integer(index, "The index")
    if not 0 <= position < len(items):
        raise failed(f"The array has no item {position}")
    return items[position]


def _identity(value: Any) -> Any:
    """Return a value that is equal for what is equal in JSON; true is not 1."""
    if isinstance(value, dict):
        return frozenset((name, _identity(member)) for name, member in value.items())
    if isinstance(value, list):
        return ("list", *(_identity(item) for item in value))
    return ("boolean", value) if isinstance(value, bool) else value


def _unique(array: Any) -> list[Any]:
    found: dict[Any, Any] = {}
    for item in _list(array, "The array"):
        found.setdefault(_identity(item), item)
    return list(found.values())


def _contains(array: Any, value: Any) -> bool:
    wanted = _identity(value)
    return any(_identity(item) == wanted for item in _list(array, "The array"))


def _bytes(value: Any, name: str) -> bytes:
    return _text(value, f"The argument of {name}").encode()


def _base64_decode(value: Any) -> str:
    try:
        text = base64.b64decode(_bytes(value, "States.Base64Decode"), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise failed("The argument of States.Base64Decode is not Base64 of a text") from None
    if "\x00" in text:
        raise failed("States.Base64Decode cannot make the character U+0000")
    return text


def _hash(value: Any, algorithm: Any) -> str:
    if not isinstance(algorithm, str) or algorithm not in _HASHES:
        raise failed(f"The algorithm of States.Hash must be one of {', '.join(_HASHES)}")
    return _HASHES[algorithm](_bytes(value, "States.Hash"), usedforsecurity=False).hexdigest()


def _merge(first: Any, second: Any, deep: Any = False) -> dict[str, Any]:
    if not isinstance(first, dict) or not isinstance(second, dict):
        raise failed("States.JsonMerge needs two objects")
    if deep is not False:
        raise failed("States.JsonMerge merges only the outermost level: its third argument must be false")
    return first | second


def _random(work: Work, first: Any, last: Any, seed: Any = None) -> int:
    start, end = _integer(first, "The start"), _integer(last, "The end")
    if start >= end:
        raise failed("The start of States.MathRandom must be less than its end")
    source = work.draw()
    if seed is not None:
        source.seed(_integer(seed, "The seed"))
    return source.randrange(start, end)


def _add(first: Any, second: Any) -> int:
    total = _integer(first, "The first number") + _integer(second, "The second number")
    return _integer(total, "The sum")


def _split(text: Any, separators: Any) -> list[str]:
    characters = _text(separators, "The separators")
    if not characters:
        raise failed("States.StringSplit needs a separator")
    first = characters[0]
    table = {ord(character): first for character in characters}
    one_separator = _text(text, "The text").translate(table)
    return [part for part in one_separator.split(first) if part]


def _uuid(work: Work) -> str:
    return str(uuid.UUID(int=work.draw().getrandbits(128), version=4))


FUNCTIONS: Final = {
    "States.Format": Function(_format, 1, MOST_ARGUMENTS),
    "States.StringToJson": Function(_string_to_json, 1, 1),
    "States.JsonToString": Function(_json, 1, 1),
    "States.JsonMerge": Function(_merge, 2, 3),
    "States.Array": Function(lambda *values: list(values), 0, MOST_ARGUMENTS),
    "States.ArrayPartition": Function(_partition, 2, 2),
    "States.ArrayContains": Function(_contains, 2, 2),
    "States.ArrayRange": Function(_range, 3, 3),
    "States.ArrayGetItem": Function(_get_item, 2, 2),
    "States.ArrayLength": Function(lambda array: len(_list(array, "The array")), 1, 1),
    "States.ArrayUnique": Function(_unique, 1, 1),
    "States.Base64Encode": Function(
        lambda text: base64.b64encode(_bytes(text, "States.Base64Encode")).decode(), 1, 1
    ),
    "States.Base64Decode": Function(_base64_decode, 1, 1),
    "States.Hash": Function(_hash, 2, 2),
    "States.MathRandom": Function(_random, 2, 3, random=True),
    "States.MathAdd": Function(_add, 2, 2),
    "States.StringSplit": Function(_split, 2, 2),
    "States.UUID": Function(_uuid, 0, 0, random=True),
}
