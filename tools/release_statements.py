"""Record the statements of this release: ``python -m tools.release_statements``, run when a release is made.

Until the next release, tests run them on the newest schema: while a release rolls out, and when it is taken
back, the code of the previous one works on the schema of the new one.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import pkgutil
import tempfile
import types
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

import asyncpg
import msgspec

import db
import pagemill.ids
from db.migrate import migrate
from db.pool import connect
from db.statements import REGISTRY, Statement
from pagemill.release import release
from pagemill.stack.postgres import EmbeddedPostgres

FILE = Path("tests/fixtures/previous_release.json")
NOT_STATEMENTS = ("piccolo_app", "piccolo_conf", "tables", "migrations")
DATABASE = "pagemill"
TYPES: dict[str, Any] = {
    one.__name__: one
    for one in (
        str,
        int,
        float,
        bool,
        bytes,
        list,
        dict,
        datetime,
        Decimal,
        Mapping,
        Sequence,
        msgspec.UnsetType,
    )
} | {name: one for name, one in vars(pagemill.ids).items() if isinstance(one, NewType)}


class RecordedStatement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement as a release had it."""

    name: str
    sql: str
    crosses: str
    shape: str
    parameters: list[str]
    """Names in the order of their numbers."""
    hints: dict[str, str]
    """Declared types of the arguments."""
    takes: list[str]
    """Postgres' types of the parameters."""
    gives: dict[str, str]
    """Postgres' types of the columns."""


class RecordedRelease(msgspec.Struct, frozen=True, kw_only=True):
    """A release and its statements."""

    release: str
    statements: list[RecordedStatement]


def type_text(hint: Any) -> str:
    """Return the text of a declared type. Raises KeyError for one that it does not know."""
    origin = get_origin(hint)
    if hint in (None, type(None)):
        return "None"
    if hint in (Any, object):
        return "str"
    if origin is Annotated:
        return type_text(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return " | ".join(type_text(one) for one in get_args(hint))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, get_args(hint)))}]"
    if origin is not None:
        return f"{_known(origin)}[{', '.join(type_text(one) for one in get_args(hint))}]"
    return _known(hint)


def type_of(text: str) -> Any:
    """Return the type with a text, as ``type_text`` gives it."""
    return eval(text, {**TYPES, "Literal": Literal, "__builtins__": {}})


def _known(hint: Any) -> str:
    name = str(hint.__name__)
    if name not in TYPES:
        raise KeyError(f"{hint} is no type of an argument: add it to TYPES")
    return name


async def recorded(connection: asyncpg.Connection, statement: Statement[..., Any]) -> RecordedStatement:
    """Return a statement with what Postgres says of it."""
    prepared = await connection.prepare(statement.sql)
    return RecordedStatement(
        name=statement.name,
        sql=statement.sql,
        crosses=statement.crosses,
        shape=statement.shape,
        parameters=list(statement.parameters),
        hints={name: type_text(hint) for name, hint in statement.hints.items()},
        takes=[parameter.name for parameter in prepared.get_parameters()],
        gives={column.name: column.type.name for column in prepared.get_attributes()},
    )


def to_lines(found: RecordedRelease) -> bytes:
    """Return the JSON of a release, a line for each statement."""
    lines = b",\n".join(msgspec.json.encode(statement) for statement in found.statements)
    return b'{"release":%b,"statements":[\n%b\n]}\n' % (msgspec.json.encode(found.release), lines)


async def record(url: str) -> list[RecordedStatement]:
    """Return this release's statements, prepared in a migrated database."""
    for module in pkgutil.iter_modules(db.__path__):
        if module.name not in NOT_STATEMENTS:
            importlib.import_module(f"db.{module.name}")
    connection = await connect(url, application_name="pagemill-release")
    try:
        return [await recorded(connection, REGISTRY[name]) for name in sorted(REGISTRY)]
    finally:
        await connection.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--release", default=release(), help="its name, where it is not that of this code")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="pagemill-release-") as path:
        Path(path).chmod(0o711)
        postgres = EmbeddedPostgres(Path(path) / "postgres")
        postgres.start()
        try:
            url = postgres.url()
            migrate(url)
            statements = asyncio.run(record(url))
        finally:
            postgres.stop()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(to_lines(RecordedRelease(release=options.release, statements=statements)))
    print(f"{options.out}: {len(statements)} statements of {options.release}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
