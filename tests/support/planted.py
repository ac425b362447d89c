"""Search for a planted text in everything that is stored: all columns of all tables, and all objects."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import asyncpg
import pyarrow.parquet

PARQUET = b"PAR1"


def forms_of(value: str) -> set[str]:
    """A text as it is, in hexadecimal digits, and in base64 wherever it begins among other bytes."""
    raw = value.encode()
    forms = {value, raw.hex(), raw.hex().upper()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        # Three bytes make four digits: of the digits at both ends some depend on the neighbours.
        for before in range(3):
            digits = encode(b"\0" * before + raw).decode().rstrip("=")
            first = (0, 2, 3)[before]
            forms.add(digits[first : len(digits) - 1])
    return forms


async def tables_with(pool: asyncpg.Pool, value: str) -> dict[str, int]:
    """The tables in which a text stands, in any column and form, with the number of rows."""
    tables = await pool.fetch(
        """
        SELECT relname FROM pg_class
        WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace ORDER BY relname
        """
    )
    patterns = [f"%{form}%" for form in forms_of(value)]
    found = {}
    for row in tables:
        name = row["relname"]
        # A row as text has all columns: JSON as it is written, bytes in hexadecimal digits.
        number = await pool.fetchval(
            f'SELECT count(*) FROM "{name}" AS one WHERE one::text LIKE ANY($1::text[])', patterns
        )
        if number:
            found[name] = number
    return found


def files_with(directory: Path, value: str) -> list[str]:
    """The files below a directory in which a text stands."""
    forms = [form.encode() for form in forms_of(value)]
    return [
        str(path.relative_to(directory))
        for path in sorted(directory.rglob("*"))
        if path.is_file() and any(form in _readable(path.read_bytes()) for form in forms)
    ]


def _readable(content: bytes) -> bytes:
    """Parquet is compressed: its rows as text."""
    if not content.startswith(PARQUET):
        return content
    table = pyarrow.parquet.read_table(io.BytesIO(content))
    return repr(table.to_pylist()).encode()
