"""Pages of rows that are sorted by a time which may be null."""

from __future__ import annotations

from typing import Literal, TypeAlias

Order: TypeAlias = Literal["ascending", "descending"]
SortBy: TypeAlias = Literal["startTime", "endTime"]

SORT_COLUMNS: dict[SortBy, str] = {"startTime": "start_time", "endTime": "end_time"}


def nullable_page(
    columns: str,
    table: str,
    filters: str,
    *,
    column: str,
    order: Order,
    time: str,
    identifier: str,
    limit: str,
) -> str:
    """The page after the row with that time and id; both are null before the first page.

    Rows without a time come last, or first in descending order, as in Postgres' own. They are read apart
    from the others, so that both parts begin where the page does in an index that ends in (column, id).
    """
    if order == "ascending":
        timed = f"""
            ({column}, id) > (coalesce({time}::timestamptz, '-infinity'), coalesce({identifier}::text, ''))
            AND ({time}::timestamptz IS NOT NULL OR {identifier}::text IS NULL)
        """
        untimed = f"""
            {column} IS NULL
            AND id > CASE WHEN {time}::timestamptz IS NULL THEN coalesce({identifier}::text, '') ELSE '' END
        """
        part_order, whole_order = f"{column}, id", f"{column} NULLS LAST, id"
    else:
        timed = f"""
            ({column}, id) < (coalesce({time}::timestamptz, 'infinity'), coalesce({identifier}::text, ''))
        """
        untimed = f"""
            {column} IS NULL AND {time}::timestamptz IS NULL
            AND ({identifier}::text IS NULL OR id < {identifier})
        """
        part_order, whole_order = f"{column} DESC, id DESC", f"{column} DESC NULLS FIRST, id DESC"
    parts = " UNION ALL ".join(
        f"(SELECT {columns} FROM {table} WHERE {filters} AND {part} ORDER BY {part_order} LIMIT {limit})"
        for part in (timed, untimed)
    )
    return f"SELECT * FROM ({parts}) AS page ORDER BY {whole_order} LIMIT {limit}"
