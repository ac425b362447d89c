"""Number of rows that a statement reads, whatever plan it gets."""

from __future__ import annotations

from typing import Any

from db.statements import Connection, Statement

RUNS = 8
"""From its sixth run on, a statement may get a plan for all arguments."""


async def most_rows_read(connection: Connection, statement: Statement[..., Any], **arguments: Any) -> int:
    """Return the largest number of rows that one of several runs of a statement read."""
    sql = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}"
    values = statement.values(arguments)
    plans = [await connection.fetchval(sql, *values) for _ in range(RUNS)]
    return max(rows_read(plan[0]["Plan"]) for plan in plans)


def rows_read(plan: dict[str, Any]) -> int:
    """Return the number of rows that the plan's scans looked at, those they dropped included."""
    own = 0
    if "Scan" in plan["Node Type"] and "Plans" not in plan:
        own = int((plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"])
    return own + sum(rows_read(part) for part in plan.get("Plans", []))
