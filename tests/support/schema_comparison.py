"""Schemas of Postgres, described so that two of them can be compared."""

from __future__ import annotations

from collections.abc import Iterable

import asyncpg
from piccolo.columns import BigSerial, Column, ForeignKey
from piccolo.table import Table

COLUMNS = """
    SELECT relname || '.' || attname AS name,
           format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
           || coalesce(' DEFAULT ' || pg_get_expr(adbin, adrelid), '') AS definition
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
"""
KEYS = """
    SELECT conrelid::regclass::text || ' '
           || CASE contype WHEN 'p' THEN 'primary key' WHEN 'f' THEN 'foreign key' ELSE 'unique' END
           || ' (' || names || ')' AS name,
           pg_get_constraintdef(oid) AS definition
    FROM pg_constraint
    CROSS JOIN LATERAL (
        SELECT string_agg(attname, ', ' ORDER BY place) AS names
        FROM unnest(conkey) WITH ORDINALITY AS key (number, place)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = number
    )
    WHERE connamespace = current_schema()::regnamespace AND contype IN ('p', 'f', 'u')
"""
OF_PICCOLO = ("migration",)


async def describe_schema(connection: asyncpg.Connection, schema: str) -> dict[str, str]:
    """Return the definitions of columns (``table.column``) and of keys (``table unique (columns)``)."""
    async with connection.transaction():
        # Names in definitions are then not qualified by the schema.
        await connection.execute("SELECT set_config('search_path', $1, true)", schema)
        rows = [*await connection.fetch(COLUMNS), *await connection.fetch(KEYS)]
    return {
        row["name"]: row["definition"]
        for row in rows
        if not row["name"].startswith(tuple(f"{table}{end}" for table in OF_PICCOLO for end in (".", " ")))
    }


def differences(expected: dict[str, str], found: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """Return what differs, by name: as expected and as found, None where it is missing."""
    return {
        name: (expected.get(name), found.get(name))
        for name in expected | found
        if expected.get(name) != found.get(name)
    }


async def create_tables(connection: asyncpg.Connection, schema: str, tables: Iterable[type[Table]]) -> None:
    """Create Piccolo tables in a new schema, as their columns and constraints say."""
    async with connection.transaction():
        await connection.execute(f"CREATE SCHEMA {schema}")
        await connection.execute("SELECT set_config('search_path', $1, true)", schema)
        for table in tables:
            await connection.execute(_create_table(table))


def _create_table(table: type[Table]) -> str:
    """Return the statement. Piccolo's own does not support primary keys of several columns."""
    columns = table._meta.columns
    key = ", ".join(column._meta.db_column_name for column in columns if column._meta.primary_key)
    parts = [_define(column) for column in columns]
    parts.append(f"PRIMARY KEY ({key})")
    parts.extend(f"FOREIGN KEY {_reference(column)}" for column in columns if isinstance(column, ForeignKey))
    parts.extend(f"{constraint.ddl}" for constraint in table._meta.constraints)
    return f"CREATE TABLE {table._meta.tablename} ({', '.join(parts)})"


def _define(column: Column) -> str:
    definition = f"{column._meta.db_column_name} {column.column_type}"
    if not column._meta.null:
        definition += " NOT NULL"
    if column._meta.unique:
        definition += " UNIQUE"
    if not isinstance(column, BigSerial):
        definition += f" DEFAULT {column.get_sql_value(column.get_default_value())}"
    return definition


def _reference(column: ForeignKey) -> str:
    meta = column._foreign_key_meta
    return (
        f"({column._meta.db_column_name}) REFERENCES {meta.resolved_references._meta.tablename} "
        f"ON DELETE {meta.on_delete.value} ON UPDATE {meta.on_update.value}"
    )
