"""Named, typed SQL statements; the only way SQL is run.

A statement is a function without a body: its decorator carries the SQL, its signature the parameters and
the result. ``:name`` in the SQL stands for the parameter of that name. A parameter that is ``UNSET`` is null
there, and ``:name_sent`` tells whether it was sent: a member that is not sent keeps its value.

A statement on tenant data (``tenant``) takes the organization first and filters on it. A statement that has
to cross organizations, or touches no tenant data (``crossing``), says why. Tests walk ``REGISTRY``, reject a
tenant statement without its filter, and compare each signature with what Postgres says of the statement.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import (
    Annotated,
    Any,
    Concatenate,
    Generic,
    Literal,
    NewType,
    ParamSpec,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy
RowCount = NewType("RowCount", int)
"""The result of a statement that returns how many rows it touched."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
SENT = "_sent"
Shape: TypeAlias = Literal["rows", "row", "values", "value", "count", "nothing"]


@dataclass_transform(frozen_default=True)
class Row(msgspec.Struct, frozen=True):
    """Base of the rows that statements return: its fields are the columns, in their order."""


@dataclass(frozen=True, slots=True)
class NeverNull:
    """Marks a computed column, or one that the statement filters, that is never null; ``why`` says why."""

    why: str


def columns(row: type[Row], table: str = "", **computed: str) -> str:
    """Return the columns of a row as a list for SELECT or RETURNING, qualified with ``table`` if given.

    ``computed`` has the expressions of the columns that are not the table's own, by name.
    """
    prefix = f"{table}." if table else ""
    return ", ".join(
        f"{computed[name]} AS {name}" if name in computed else f"{prefix}{name}"
        for name in row.__struct_fields__
    )


@dataclass(slots=True, eq=False)
class Statement(Generic[Parameters, Result]):
    """One SQL statement, called like a function with a connection and named arguments.

    ``sql`` has numbered parameters, in the order of ``parameters``; ``crosses`` is empty for a tenant's.
    """

    name: str
    sql: str
    parameters: tuple[str, ...]
    """Names in the order of their numbers; ``name_sent`` stands for whether ``name`` was sent."""
    shape: Shape
    result: Any
    """The type of a row or a value, ``Annotated`` if it is so declared."""
    optional: bool
    hints: dict[str, Any]
    """The declared types of the parameters."""
    crosses: str = ""
    _row_type: type[Row] = Row
    _can_be_unset: bool = False
    _is_checked: bool = field(default=False, init=False)

    def __call__(
        self, connection: Connection, *args: Parameters.args, **arguments: Parameters.kwargs
    ) -> Coroutine[Any, Any, Result]:
        """Run the statement. Raises asyncpg.PostgresError, and what else asyncpg raises."""
        return self._run(connection, arguments)

    def values(self, arguments: Mapping[str, Any]) -> list[Any]:
        """Return the values of the numbered parameters. Raises TypeError when arguments are missing."""
        if len(arguments) != len(self.hints):
            raise TypeError(f"{self.name} takes {tuple(self.hints)}, not {tuple(arguments)}")
        if self._can_be_unset:
            arguments = _with_sent(arguments)
        return [arguments[name] for name in self.parameters]

    async def _run(self, connection: Connection, arguments: dict[str, Any]) -> Any:
        values = self.values(arguments)
        match self.shape:
            case "row":
                record = await connection.fetchrow(self.sql, *values)
                return self._row(record) if record is not None else self._nothing_found()
            case "rows":
                return [self._row(record) for record in await connection.fetch(self.sql, *values)]
            case "value":
                record = await connection.fetchrow(self.sql, *values)
                value = None if record is None else record[0]
                return value if value is not None else self._nothing_found()
            case "values":
                return [record[0] for record in await connection.fetch(self.sql, *values)]
            case "count":
                return _row_count(await connection.execute(self.sql, *values))
            case "nothing":
                await connection.execute(self.sql, *values)
                return None

    def _row(self, record: asyncpg.Record) -> Row:
        if not self._is_checked:
            self._check(record)
        return self._row_type(*record)

    def _check(self, record: asyncpg.Record) -> None:
        """Compare the columns with the row's fields, once. Raises TypeError."""
        if tuple(record.keys()) != self._row_type.__struct_fields__:
            raise TypeError(f"{self.name} returns {tuple(record.keys())}, not a {self._row_type.__name__}")
        self._is_checked = True

    def _nothing_found(self) -> None:
        if not self.optional:
            raise LookupError(f"{self.name} found nothing")


REGISTRY: dict[str, Statement[..., Any]] = {}

_PLACEHOLDER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")

Declared: TypeAlias = Callable[Concatenate[Connection, Parameters], Awaitable[Result]]


def tenant(sql: str) -> Callable[[Declared[Parameters, Result]], Statement[Parameters, Result]]:
    """Declare a statement on one organization's data: its first parameter is the organization."""

    def declare(declared: Declared[Parameters, Result]) -> Statement[Parameters, Result]:
        statement = _statement(declared, sql)
        if statement.parameters[:1] not in (("organization_id",), ("organization_ids",)):
            raise TypeError(f"{statement.name}: the first parameter has to be the organization")
        return _register(statement)

    return declare


def crossing(
    reason: str, sql: str
) -> Callable[[Declared[Parameters, Result]], Statement[Parameters, Result]]:
    """Declare a statement that crosses organizations, or touches no tenant data; ``reason`` says why."""

    def declare(declared: Declared[Parameters, Result]) -> Statement[Parameters, Result]:
        return _register(_statement(declared, sql, crosses=reason))

    return declare


def _statement(
    declared: Declared[Parameters, Result], sql: str, *, crosses: str = ""
) -> Statement[Parameters, Result]:
    function = cast("types.FunctionType", declared)
    name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
    signature = list(inspect.signature(function).parameters.values())[1:]
    if any(one.kind is not one.KEYWORD_ONLY or one.default is not one.empty for one in signature):
        raise TypeError(f"{name}: parameters after the connection are keyword-only and without defaults")
    hints = get_type_hints(function, include_extras=True)
    given = {one.name: hints[one.name] for one in signature}
    parameters = _parameters(name, sql, given)
    shape, result, optional = _read_result(hints["return"])
    plain = get_args(result)[0] if get_origin(result) is Annotated else result
    return Statement(
        name=name,
        sql=_number_parameters(sql, parameters),
        parameters=parameters,
        shape=shape,
        result=result,
        optional=optional,
        hints=given,
        crosses=crosses,
        _row_type=plain if shape in ("row", "rows") else Row,
        _can_be_unset=any(can_be_unset(hint) for hint in given.values()),
    )


def _parameters(name: str, sql: str, given: dict[str, Any]) -> tuple[str, ...]:
    """Return the parameters of the SQL in the order of the function's. Raises TypeError when they differ."""
    used = set(_PLACEHOLDER.findall(sql))
    sent = [f"{parameter}{SENT}" for parameter, hint in given.items() if can_be_unset(hint)]
    parameters = (*given, *(one for one in sent if one in used))
    if used != set(parameters):
        raise TypeError(f"{name}: the SQL names {sorted(used)}, the function {sorted(given)}")
    return parameters


def _number_parameters(sql: str, parameters: Sequence[str]) -> str:
    numbers = {parameter: f"${number}" for number, parameter in enumerate(parameters, start=1)}
    return _PLACEHOLDER.sub(lambda match: numbers[match[1]], sql)


def can_be_unset(declared: Any) -> bool:
    """Return whether a parameter of this type may be ``UNSET``."""
    return msgspec.UnsetType in get_args(declared)


def _with_sent(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with null for ``UNSET``, and for each whether it was sent."""
    sent = {f"{name}{SENT}": value is not msgspec.UNSET for name, value in arguments.items()}
    values = {name: None if value is msgspec.UNSET else value for name, value in arguments.items()}
    return {**values, **sent}


def _read_result(declared: Any) -> tuple[Shape, Any, bool]:
    """Return the shape, the type of one row or value, and whether that can be missing or null."""
    if declared is type(None):
        return "nothing", None, True
    if declared is RowCount:
        return "count", RowCount, False
    if get_origin(declared) is list:
        (item,) = get_args(declared)
        inner, optional = without_none(item)
        return ("rows" if _is_row(inner) else "values"), inner, optional
    inner, optional = without_none(declared)
    return ("row" if _is_row(inner) else "value"), inner, optional


def without_none(declared: Any) -> tuple[Any, bool]:
    """Return a type without ``None``, and whether it allowed that."""
    if get_origin(declared) not in (Union, types.UnionType):
        return declared, False
    inner = [one for one in get_args(declared) if one is not type(None)]
    optional = len(inner) < len(get_args(declared))
    return (inner[0] if len(inner) == 1 else Union[tuple(inner)]), optional  # noqa: UP007 - made at run time


def _is_row(declared: Any) -> bool:
    return isinstance(declared, type) and issubclass(declared, Row)


def _row_count(status: str) -> RowCount:
    tail = status.rsplit(" ", 1)[-1]
    return RowCount(int(tail) if tail.isdigit() else 0)


def _register(statement: Statement[Parameters, Result]) -> Statement[Parameters, Result]:
    if statement.name in REGISTRY:
        raise ValueError(f"two statements are named {statement.name}")
    REGISTRY[statement.name] = statement
    return statement
