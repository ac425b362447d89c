"""Changes of executions: what a transaction has decided about them, until one statement writes all of it.

What is collected here is not in the database yet. Whoever reads it there, or changes it by a statement of
its own, writes first. Counters are locked last: executions of one organization wait for each other only while
they are committed.
"""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from db.statements import Connection
from db.workflow_progress import (
    EndedStep,
    ExecutionChange,
    NewLine,
    NewLog,
    NewStep,
    NewTimer,
    Used,
    write_progress,
)
from pagemill.ids import LogId, OrganizationId, SubjectId, new_id
from pagemill.usage.counting import (
    Wanted,
    count_all,
    count_each,
    summed,
    wanted_transition_executions,
)
from pagemill.usage.limits import limit_exceeded
from pagemill.usage.meters import Amount, Meter, current_month, period_of, to_decimal
from pagemill.workflows.logs import LONGEST_LINE


class Mark(NamedTuple):
    """A point that changes can be taken back to."""

    written: int
    lengths: tuple[int, ...]
    uncounted_steps: int


@dataclass(slots=True)
class Changes:
    """Changes of one organization's executions that are not written yet."""

    connection: Connection
    organization_id: OrganizationId
    executions: list[ExecutionChange] = field(default_factory=list)
    steps: list[NewStep] = field(default_factory=list)
    ended_steps: list[EndedStep] = field(default_factory=list)
    logs: list[NewLog] = field(default_factory=list)
    lines: list[NewLine] = field(default_factory=list)
    timers: list[NewTimer] = field(default_factory=list)
    used: list[Used] = field(default_factory=list)
    uncounted_steps: int = 0
    """New steps that are still to be counted: the plan may not allow them."""
    written: int = 0
    """Number of times that changes were written."""

    def open_log(self, first_line: str, **owner: Any) -> LogId:
        """Add a log with its first line and return its id; ``owner`` has the ids of what it belongs to."""
        log_id = new_id(LogId)
        self.logs.append(NewLog(organization_id=self.organization_id, id=log_id, **owner))
        self.write_line(log_id, first_line)
        return log_id

    def write_line(self, log_id: LogId | None, line: str) -> None:
        """Add a line to a log, if there is one; a line that is too long is cut."""
        if log_id is not None:
            self.lines.append(NewLine(self.organization_id, log_id, line[:LONGEST_LINE]))

    def add_step(self, step: NewStep) -> None:
        """Add a step. It counts against the plan."""
        self.steps.append(step)
        self.uncounted_steps += 1

    def start_timer(
        self,
        subject_id: SubjectId,
        payload: Mapping[str, Any],
        *,
        seconds: float | None,
        until: datetime.datetime | None = None,
    ) -> None:
        """Start a timer: ``seconds`` from now, or ``until`` a time."""
        self.timers.append(
            NewTimer(
                organization_id=self.organization_id,
                subject_id=subject_id,
                payload=payload,
                seconds=seconds,
                until=until,
            )
        )

    def count_freely(self, meter: Meter, amount: Amount) -> None:
        """Count units that have been used already, whatever the plan allows."""
        self.used.append(
            Used(
                organization_id=self.organization_id,
                month=period_of(meter, current_month()),
                meter=meter,
                amount=to_decimal(amount),
            )
        )

    def mark(self) -> Mark:
        """Return the point that has been reached."""
        return Mark(self.written, tuple(map(len, self._lists())), self.uncounted_steps)

    def take_back(self, mark: Mark) -> bool:
        """Forget what came after a point; return False when a part of that is written already."""
        is_unwritten = mark.written == self.written
        for rows, length in zip(self._lists(), mark.lengths, strict=True):
            del rows[length if is_unwritten else 0 :]
        self.uncounted_steps = mark.uncounted_steps if is_unwritten else 0
        return is_unwritten

    async def write(self) -> None:
        """Count and write. Raises LimitExceeded when the plan does not allow the new steps."""
        if await refused([self]):
            raise limit_exceeded("transition-executions")
        await write_together(self.connection, [self])

    def _lists(self) -> tuple[list[Any], ...]:
        return (
            self.executions,
            self.steps,
            self.ended_steps,
            self.logs,
            self.lines,
            self.timers,
            self.used,
        )


async def count_with_steps(changes: Sequence[Changes], wanted: Sequence[Wanted]) -> None:
    """Count units together with the new steps of changes, by one statement. Raises LimitExceeded."""
    all_wanted = [
        *wanted,
        *(
            wanted_transition_executions(one.organization_id, one.uncounted_steps)
            for one in changes
            if one.uncounted_steps
        ),
    ]
    if all_wanted:
        await count_all(changes[0].connection, summed(all_wanted))
    for one in changes:
        one.uncounted_steps = 0


async def refused(changes: Sequence[Changes]) -> list[Changes]:
    """Count the new steps of all; return those whose steps the plan does not allow.

    Where it does not allow those of an organization together, each is asked for by itself.
    """
    uncounted = [one for one in changes if one.uncounted_steps]
    if not uncounted:
        return []
    amounts: Counter[OrganizationId] = Counter()
    for one in uncounted:
        amounts[one.organization_id] += one.uncounted_steps
    connection = uncounted[0].connection
    exceeded = await count_each(
        connection,
        [wanted_transition_executions(owner, amount) for owner, amount in sorted(amounts.items())],
    )
    not_allowed = {one.organization_id for one in exceeded}
    found: list[Changes] = []
    for one in uncounted:
        wanted = wanted_transition_executions(one.organization_id, one.uncounted_steps)
        if one.organization_id in not_allowed and (
            wanted.amount == amounts[one.organization_id] or await count_each(connection, [wanted])
        ):
            found.append(one)
        else:
            one.uncounted_steps = 0
    return found


async def write_together(connection: Connection, changes: Iterable[Changes]) -> None:
    """Write changes whose steps are counted, by one statement."""
    some = [one for one in changes if any(one._lists())]
    if not some:
        return
    assert not any(one.uncounted_steps for one in some), "steps are counted before they are written"
    await write_progress(
        connection,
        executions=_last_of_each(change for one in some for change in one.executions),
        steps=[step for one in some for step in one.steps],
        ended_steps=[step for one in some for step in one.ended_steps],
        logs=[log for one in some for log in one.logs],
        lines=[line for one in some for line in one.lines],
        timers=[timer for one in some for timer in one.timers],
        used=_summed(used for one in some for used in one.used),
    )
    for one in some:
        for rows in one._lists():
            rows.clear()
        one.written += 1


def _last_of_each(changes: Iterable[ExecutionChange]) -> list[ExecutionChange]:
    """Return the last change of each execution: it has all that counts."""
    return list({change.id: change for change in changes}.values())


def _summed(used: Iterable[Used]) -> list[Used]:
    sums: defaultdict[tuple[OrganizationId, str, str], Decimal] = defaultdict(Decimal)
    for one in used:
        sums[one.organization_id, one.month, one.meter] += one.amount
    return [
        Used(organization_id=owner, month=month, meter=meter, amount=amount)
        for (owner, month, meter), amount in sums.items()
    ]
