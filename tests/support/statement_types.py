"""Comparison of a statement's signature with what Postgres says of its SQL."""

from __future__ import annotations

import datetime
import re
import types
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

import msgspec
import psycopg
from psycopg import pq

from db.statements import SENT, NeverNull, Row, Statement, without_none

TYPES: dict[str, set[object]] = {
    "text": {str},
    "varchar": {str},
    "bpchar": {str},
    "name": {str},
    "bool": {bool},
    "int2": {int},
    "int4": {int},
    "int8": {int},
    "float4": {float},
    "float8": {float},
    "numeric": {Decimal},
    "timestamptz": {datetime.datetime},
    "bytea": {bytes},
    "interval": {datetime.timedelta},
}
"""The Python types that asyncpg gives and takes, by the name of Postgres' type."""
JSON = ("json", "jsonb")
NAMES = "SELECT oid::int, typname, typelem::int FROM pg_type"
NOT_NULL = """
    SELECT attrelid::int, attnum::int, attnotnull FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped
"""
TABLES = "SELECT oid::int, relname FROM pg_class WHERE relkind IN ('r', 'p', 'v')"
_OUTER = re.compile(r"\b(?:LEFT|FULL|RIGHT)\s+(?:OUTER\s+)?JOIN\s+(?:LATERAL\s+)?(\w+|\()", re.IGNORECASE)


class Schema:
    """The types and columns of one database."""

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(database_url, autocommit=True)
        self._types = {oid: (name, element) for oid, name, element in self._connection.execute(NAMES)}
        self._not_null = {
            (table, column): not_null for table, column, not_null in self._connection.execute(NOT_NULL)
        }
        self._tables = dict(self._connection.execute(TABLES).fetchall())

    def close(self) -> None:
        self._connection.close()

    def describe(self, sql: str) -> pq.PGresult | str:
        """Return the description of a statement's parameters and columns, or why it is refused."""
        connection = self._connection.pgconn
        for result in (connection.prepare(b"", sql.encode()), connection.describe_prepared(b"")):
            if result.status != pq.ExecStatus.COMMAND_OK:
                return result.error_message.decode().strip()
        return result

    def type_name(self, oid: int) -> str:
        """Return the name of a type; that of an array is its elements' with ``[]``."""
        name, element = self._types[oid]
        return f"{self._types[element][0]}[]" if name.startswith("_") else name

    def is_nullable(self, table: int, column: int, outer_tables: set[str]) -> bool | None:
        """Return whether a column can be null; None for a computed one, of which Postgres does not say it."""
        if table == 0:
            return None
        return not self._not_null[table, column] or self._tables.get(table) in outer_tables


def problems_of(statement: Statement[..., Any], schema: Schema) -> list[str]:
    """Return in what the signature of a statement is wrong; an empty list when it is right."""
    description = schema.describe(statement.sql)
    if isinstance(description, str):
        return [f"{statement.name}: {description}"]
    return [
        f"{statement.name}: {problem}"
        for problem in (
            *_parameter_problems(statement, description, schema),
            *_column_problems(statement, description, schema),
        )
    ]


def _parameter_problems(
    statement: Statement[..., Any], description: pq.PGresult, schema: Schema
) -> list[str]:
    problems = []
    for number, name in enumerate(statement.parameters):
        type_name = schema.type_name(description.param_type(number))
        declared = statement.hints.get(name, bool if name.endswith(SENT) else None)
        if not _fits(declared, type_name):
            problems.append(f"parameter {name} is {type_name}, not {declared}")
    return problems


def _column_problems(statement: Statement[..., Any], description: pq.PGresult, schema: Schema) -> list[str]:
    if statement.shape in ("count", "nothing"):
        return []
    names = [(description.fname(number) or b"").decode() for number in range(description.nfields)]
    if statement.shape in ("row", "rows"):
        declared = row_hints(statement.result)
        if list(declared) != names:
            return [f"returns {', '.join(names)}, not {', '.join(declared)}"]
        hints = list(declared.values())
    else:
        if len(names) != 1:
            return [f"returns {len(names)} columns, not one value"]
        # A value that may be missing may be null as well: both are None.
        hints = [statement.result | None if statement.optional else statement.result]
    outer_tables = _outer_tables(statement.sql)
    problems = []
    for number, (name, hint) in enumerate(zip(names, hints, strict=True)):
        type_name = schema.type_name(description.ftype(number))
        if not _fits(hint, type_name):
            problems.append(f"column {name} is {type_name}, not {hint}")
        nullable = schema.is_nullable(description.ftable(number), description.ftablecol(number), outer_tables)
        if nullable is not False and not _allows_null(hint):
            why = "can be null" if nullable else "is computed and may be null: say NeverNull if it never is"
            problems.append(f"column {name} {why}, not {hint}")
    return problems


def row_hints(row: type[Row]) -> dict[str, Any]:
    """Return the declared types of a row's columns, in their order."""
    hints = get_type_hints(row, include_extras=True)
    return {name: hints[name] for name in row.__struct_fields__}


def _outer_tables(sql: str) -> set[str]:
    """Return the tables whose columns are null where an outer join found nothing."""
    tables: set[str] = set()
    for match in _OUTER.finditer(sql):
        if match[1] != "(":
            tables.add(match[1].lower())
            continue
        depth, end = 1, match.end()
        while depth and end < len(sql):
            depth += {"(": 1, ")": -1}.get(sql[end], 0)
            end += 1
        tables.update(re.findall(r"\b(?:FROM|JOIN)\s+(\w+)", sql[match.end() : end], re.IGNORECASE))
    return tables


def _allows_null(hint: Any) -> bool:
    if hint is Any:
        return True
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        return any(isinstance(mark, NeverNull) for mark in marks) or _allows_null(inner)
    return without_none(hint)[1]


def _fits(hint: Any, type_name: str) -> bool:
    plain = _plain(hint)
    if type_name in JSON:
        return plain is Any or plain in (dict, list, str, object) or _is_struct(plain)
    if type_name.endswith("[]"):
        if get_origin(_stripped(hint)) not in (list, Sequence) and plain is not list:
            return False
        items = get_args(_stripped(hint))
        return not items or _fits(items[0], type_name[:-2])
    return plain in TYPES.get(type_name, set()) or (plain is int and type_name == "float8")


def _is_struct(plain: Any) -> bool:
    return isinstance(plain, type) and issubclass(plain, msgspec.Struct)


def _stripped(hint: Any) -> Any:
    """The hint without Annotated, ``None``, ``UNSET`` and NewType."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif isinstance(hint, NewType):
            hint = hint.__supertype__
        elif get_origin(hint) in (Union, types.UnionType):
            kept = [one for one in get_args(hint) if one not in (type(None), msgspec.UnsetType)]
            if len(kept) != 1:
                return Union[tuple(kept)]  # noqa: UP007
            hint = kept[0]
        else:
            return hint


def _plain(hint: Any) -> Any:
    stripped = _stripped(hint)
    origin = get_origin(stripped)
    if origin is Literal:
        return type(get_args(stripped)[0])
    if origin in (Union, types.UnionType):
        plains = {_plain(one) for one in get_args(stripped)}
        if plains <= {dict, list}:
            return dict
        return plains.pop() if len(plains) == 1 else stripped
    if origin in (dict, Mapping):
        return dict
    if origin in (list, Sequence):
        return list
    return stripped
