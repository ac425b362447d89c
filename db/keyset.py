"""SQL for pages of rows: of limited size in bytes, and sorted by a time that can be null."""

from __future__ import annotations

from typing import Literal, TypeAlias

from db.statements import NeverNull, Row, columns

Order: TypeAlias = Literal["ascending", "descending"]
SortBy: TypeAlias = Literal["startTime", "endTime"]

SORT_COLUMNS: dict[SortBy, str] = {"startTime": "start_time", "endTime": "end_time"}

IN_UNION = NeverNull("not null in the table, which a UNION does not tell")
"""Marks the columns of ``nullable_page``."""

PAGE_BYTES = 16 * 1024 * 1024
"""Most bytes of the large columns of a page together; the row that exceeds it is the last."""


def within_bytes(page: str, *large: str, order: str, columns: str = "page.*") -> str:
    """Return the SQL for the rows of ``page`` until their ``large`` columns exceed ``PAGE_BYTES``.

    ``rows_in_page`` is the number of rows without that limit: when it is larger, another page follows.
    """
    size = " + ".join(f"coalesce({_bytes_of(column)}, 0)" for column in large)
    return f"""
        SELECT {columns}, rows_in_page FROM (
            SELECT page.*, count(*) OVER () AS rows_in_page, coalesce(
                sum({size}) OVER (ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0
            ) AS bytes_before
            FROM ({page}) AS page
        ) AS page
        WHERE bytes_before <= {PAGE_BYTES} ORDER BY {order}
    """


def _bytes_of(column: str) -> str:
    """Return the SQL for the size of a column. Only a compressed one has to be read for it."""
    return f"""
        CASE WHEN pg_column_compression({column}) IS NULL THEN pg_column_size({column})
        ELSE octet_length({column}::text) END
    """


def nullable_page(
    row: type[Row],
    table: str,
    filters: str,
    *,
    column: str,
    order: Order,
    large: tuple[str, ...],
    **computed: str,
) -> str:
    """Return the SQL for the page after ``:after_time`` and ``:after_id``, of at most ``:limit`` rows.

    Both are null before the first page. The page ends early like those of ``within_bytes``. Rows whose
    ``column`` is null come last, or first in descending order, as in Postgres' own order. They are read apart
    from the others, so that both parts begin where the page does in an index that ends in (column, id).
    """
    if order == "ascending":
        timed = f"""
            ({column}, id) > (
                coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
            )
            AND (:after_time::timestamptz IS NOT NULL OR :after_id::text IS NULL)
        """
        untimed = f"""
            {column} IS NULL
            AND id > CASE WHEN :after_time::timestamptz IS NULL THEN coalesce(:after_id::text, '') ELSE '' END
        """
        part_order, whole_order = f"{column}, id", f"{column} NULLS LAST, id"
    else:
        timed = f"""
            ({column}, id) < (
                coalesce(:after_time::timestamptz, 'infinity'), coalesce(:after_id::text, '')
            )
        """
        untimed = f"""
            {column} IS NULL AND :after_time::timestamptz IS NULL
            AND (:after_id::text IS NULL OR id < :after_id)
        """
        part_order, whole_order = f"{column} DESC, id DESC", f"{column} DESC NULLS FIRST, id DESC"
    selected = columns(row, **computed)
    parts = " UNION ALL ".join(
        f"(SELECT {selected} FROM {table} WHERE {filters} AND {part} ORDER BY {part_order} LIMIT :limit)"
        for part in (timed, untimed)
    )
    page = f"SELECT * FROM ({parts}) AS parts ORDER BY {whole_order} LIMIT :limit"
    return within_bytes(page, *large, order=whole_order, columns=columns(row))
