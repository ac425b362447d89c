"""Expressions: paths and calls of intrinsic functions, and templates of JSON that hold them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from pagemill.errors import BadRequest
from pagemill.workflows.failures import PARAMETER_PATH, StateFailed
from pagemill.workflows.intrinsic_functions import FUNCTIONS, Function, format_pieces, unescaped
from pagemill.workflows.paths import MISSING, Path, read_query
from pagemill.workflows.work_bounds import CALL_BYTES_OF_WORK, DATA_BYTES, Work, is_shallow, too_large

LONGEST_CALL = 10_000
DEEPEST_CALL = 10
DEEPEST_TEMPLATE = 32

_NAME = re.compile(r"States\.[A-Za-z0-9]{1,32}")
_SIGN = re.compile(r" *([(),]?) *")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*+)'", re.DOTALL)
_CONSTANT = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,2})?|true|false|null")
# A path ends at the first comma or parenthesis that is in no brackets.
_PATH = re.compile(
    r"\$(?:[^,()\[\]\s]|\[(?:'(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\"|[^\]'\"])*+\])*+", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Scope:
    """Values that an expression can read, and the work that it may do."""

    data: Any
    context: Mapping[str, Any]
    work: Work

    def find(self, path: Path) -> Any:
        """Return the value at a path, the list of values of one that is no reference, or MISSING."""
        self.work.spend(1 + len(path.text) // 32)
        return path.find(self.context if path.of_context else self.data, self.work)


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: Any


@dataclass(frozen=True, slots=True)
class Call:
    """A call of an intrinsic function."""

    name: str
    function: Function
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ObjectTemplate:
    """An object with members that are computed."""

    members: dict[str, Template]


@dataclass(frozen=True, slots=True)
class ListTemplate:
    """A list with items that are computed."""

    items: tuple[Template, ...]


Expression: TypeAlias = Literal | Path | Call
Template: TypeAlias = Literal | Path | Call | ObjectTemplate | ListTemplate


def read_expression(text: Any, member: str) -> Path | Call:
    """Read a path or a call of an intrinsic function. Raises BadRequest naming the member."""
    if not isinstance(text, str) or not text.startswith("States."):
        return read_query(text, member)
    if len(text) > LONGEST_CALL:
        raise BadRequest(f"{member}: must have at most {LONGEST_CALL} characters")
    reader = _CallReader(text, member)
    call = reader.read_call(1)
    if reader.position != len(text):
        raise reader.fault("there is something behind the call")
    return call


class _CallReader:
    """Reader of a call, from the left to the right."""

    def __init__(self, text: str, member: str) -> None:
        self.text = text
        self.member = member
        self.position = 0

    def fault(self, what: str) -> BadRequest:
        return BadRequest(
            f"{self.member}: is not an intrinsic function: {what} (character {self.position + 1})"
        )

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.position)
        if match is not None:
            self.position = match.end()
        return match

    def take_sign(self) -> str:
        """Return the bracket or comma that follows, if any."""
        match = self.take(_SIGN)
        return match[1] if match else ""

    def read_call(self, depth: int) -> Call:
        if depth > DEEPEST_CALL:
            raise self.fault(f"calls are nested deeper than {DEEPEST_CALL}")
        match = _NAME.match(self.text, self.position)
        name = match[0] if match else ""
        function = FUNCTIONS.get(name)
        if function is None:
            raise self.fault(f"{name or 'this'} is not known")
        self.position += len(name)
        if self.take_sign() != "(":
            raise self.fault("( is missing")
        arguments = self.read_arguments(depth, formats=name == "States.Format")
        if not function.least <= len(arguments) <= function.most:
            raise self.fault(f"{name} does not take {len(arguments)} arguments")
        if name == "States.Format" and isinstance(arguments[0], Literal):
            self.check_format(arguments[0].value, len(arguments) - 1)
        return Call(name, function, tuple(arguments))

    def read_arguments(self, depth: int, *, formats: bool) -> list[Expression]:
        """Read up to the closing bracket."""
        arguments: list[Expression] = []
        if self.text.startswith(")", self.position):
            self.take_sign()
            return arguments
        while True:
            # The template of States.Format keeps the escapes of its braces.
            arguments.append(self.read_argument(depth, raw=formats and not arguments))
            sign = self.take_sign()
            if sign == ")":
                return arguments
            if sign != ",":
                raise self.fault(", or ) is missing")

    def read_argument(self, depth: int, *, raw: bool) -> Expression:
        first = self.text[self.position : self.position + 1]
        if first == "'" and (match := self.take(_QUOTED)):
            return Literal(match[1] if raw else unescaped(match[1]))
        if first == "$" and (match := self.take(_PATH)):
            return read_query(match[0], self.member)
        if match := self.take(_CONSTANT):
            return Literal(msgspec.json.decode(match[0]))
        return self.read_call(depth + 1)

    def check_format(self, template: Any, values: int) -> None:
        pieces = format_pieces(template) if isinstance(template, str) else None
        if pieces is None or len(pieces) != values + 1:
            raise self.fault("States.Format needs as many values as its template has {}")


def read_template(raw: Any, member: str) -> Template:
    """Read an object whose members named ``x.$`` are computed. Raises BadRequest naming the member."""
    if not isinstance(raw, dict):
        raise BadRequest(f"{member}: must be an object")
    return _read_template(raw, member, 0)


def _read_template(raw: Any, member: str, depth: int) -> Template:
    if depth > DEEPEST_TEMPLATE:
        raise BadRequest(f"{member}: is nested deeper than {DEEPEST_TEMPLATE} levels")
    parts: list[Template]
    if isinstance(raw, list):
        parts = [_read_template(item, f"{member}[{index}]", depth + 1) for index, item in enumerate(raw)]
        return Literal(raw) if _are_constant(parts) else ListTemplate(tuple(parts))
    if not isinstance(raw, dict):
        return Literal(raw)
    members: dict[str, Template] = {}
    for name, value in raw.items():
        inner = f"{member}.{name}"
        computed = name.endswith(".$")
        key = name.removesuffix(".$")
        if key in members or (computed and key in raw):
            raise BadRequest(f"{inner}: is there twice, with and without .$")
        members[key] = read_expression(value, inner) if computed else _read_template(value, inner, depth + 1)
    return Literal(raw) if _are_constant(members.values()) else ObjectTemplate(members)


def _are_constant(parts: Iterable[Template]) -> bool:
    return all(isinstance(part, Literal) for part in parts)


def read_constant(raw: Any, member: str) -> Any:
    """Return a constant of a definition. Raises BadRequest when it is nested too deeply."""
    if not is_shallow(raw):
        raise BadRequest(f"{member}: is nested too deeply")
    return raw


def evaluate(template: Template, scope: Scope) -> Any:
    """Return the value of a template or expression, at most as large as data may be. Raises StateFailed."""
    return _Evaluation(scope).value(template)


class _Evaluation:
    """Evaluation of a template: what its expressions give is bounded together."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.size = 0

    def value(self, template: Template) -> Any:
        match template:
            case Literal(value):
                return value
            case ObjectTemplate(members):
                return {name: self.value(member) for name, member in members.items()}
            case ListTemplate(items):
                return [self.value(item) for item in items]
            case _:
                value, size = _computed(template, self.scope)
                self.size += size
                if self.size > DATA_BYTES:
                    raise too_large()
                return value


def _computed(expression: Expression, scope: Scope) -> tuple[Any, int]:
    """Return the value of an expression and its size in bytes of JSON. Raises StateFailed."""
    match expression:
        case Literal(value):
            pass
        case Path():
            value = scope.find(expression)
            if value is MISSING:
                raise StateFailed(PARAMETER_PATH, f"The data have no value at {expression.text}")
        case Call(name, function, arguments):
            value = _called(name, function, [_computed(argument, scope) for argument in arguments], scope)
    return value, scope.work.measure(value)


def _called(name: str, function: Function, arguments: list[tuple[Any, int]], scope: Scope) -> Any:
    total = sum(size for _, size in arguments)
    if total > DATA_BYTES:
        raise too_large()
    scope.work.spend(1 + total // CALL_BYTES_OF_WORK)
    values = [value for value, _ in arguments]
    try:
        return function.apply(scope.work, *values) if function.random else function.apply(*values)
    except StateFailed as failure:
        raise StateFailed(failure.error, f"{name}: {failure.cause}") from None
