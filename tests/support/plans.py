"""Number of rows that a statement reads, whatever plan it gets."""

from __future__ import annotations

from typing import Any

from db.statements import Connection, Statement, UntypedStatement

RUNS = 8
"""From its sixth run on, a statement may get a plan for all arguments."""


async def most_rows_read(
    connection: Connection,
    statement: Statement[..., Any] | UntypedStatement,
    *arguments: Any,
    **named: Any,
) -> int:
    """Return the most rows that one of several runs looked at; typed statements take ``named`` arguments."""
    sql = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}"
    if isinstance(statement, Statement):
        arguments = statement.values(named)
    plans = [await connection.fetchval(sql, *arguments) for _ in range(RUNS)]
    return max(rows_read(plan[0]["Plan"]) for plan in plans)


def rows_read(plan: dict[str, Any]) -> int:
    """Return the number of rows that the plan's scans looked at, those they dropped included."""
    own = 0
    if "Scan" in plan["Node Type"] and "Plans" not in plan:
        own = int((plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"])
    return own + sum(rows_read(part) for part in plan.get("Plans", []))
