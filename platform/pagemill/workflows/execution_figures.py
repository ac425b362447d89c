"""Figures of executions that operators are shown: what is open, what waits for people, how steps end."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from db.execution_figures import count_waiting_steps, list_ended_steps, list_open_executions
from db.statements import Connection

Ending: TypeAlias = tuple[str, str]
"""Type of a transition and the status that its execution has ended with."""


class ExecutionFigures(NamedTuple):
    """Open executions by status, steps that people can claim and the age in seconds of the first, endings."""

    executions: Mapping[str, int] = {}
    waiting_steps: int = 0
    oldest_step: float = 0.0
    ended_steps: Mapping[Ending, int] = {}


class ExecutionWatch:
    """Watch of one process: the endings that it has seen only ever grow, from ``since`` on, or from now."""

    def __init__(self, *, since: datetime.datetime | None = None) -> None:
        self._until = since
        self._ended: Counter[Ending] = Counter()

    async def ask(self, connection: Connection) -> ExecutionFigures:
        """Return the figures of all organizations. Raises what asyncpg raises."""
        executions = await list_open_executions(connection)
        waiting = await count_waiting_steps(connection)
        for row in await list_ended_steps(connection, since=self._until):
            self._until = row.until
            if row.transition_type is not None and row.outcome is not None:
                self._ended[row.transition_type, row.outcome] += row.steps
        return ExecutionFigures(
            executions={row.status: row.executions for row in executions},
            waiting_steps=waiting.steps,
            oldest_step=waiting.oldest,
            ended_steps=dict(self._ended),
        )
