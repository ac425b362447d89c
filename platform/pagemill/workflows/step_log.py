"""Log of a step as its program writes it: bytes become lines, and lines are written together."""

from __future__ import annotations

from typing import Final

from db.logs import insert_log_lines
from db.pool import Pool, acquire
from pagemill.ids import LogId, OrganizationId
from pagemill.workflows.logs import LONGEST_LINE

MOST_BYTES: Final = 4 * 1024 * 1024
"""Bytes that are kept of one program; what it writes after them is read and forgotten."""
LINE_BYTES: Final = 64
"""Bytes that a line counts for beside its own: of empty ones, too, there is an end."""
LINES_AT_ONCE: Final = 500
CUT: Final = f"... the program has written more than {MOST_BYTES // 1024**2} MiB; the rest is not kept"


class StepLog:
    """Lines of one program that are still to be written. Not for several tasks at once."""

    def __init__(self, pool: Pool, organization_id: OrganizationId, log_id: LogId | None) -> None:
        self._pool, self._organization_id, self._log_id = pool, organization_id, log_id
        self._lines: list[str] = []
        self._begun = b""
        self._left = MOST_BYTES

    @property
    def waits(self) -> bool:
        """Return whether lines wait to be written."""
        return bool(self._lines)

    @property
    def is_full(self) -> bool:
        """Return whether so many lines wait that they should be written before more are read."""
        return len(self._lines) >= LINES_AT_ONCE

    def feed(self, piece: bytes) -> None:
        """Take what a program has written; a line that is too long is divided."""
        *ended, self._begun = (self._begun + piece).split(b"\n")
        for line in ended:
            for at in range(0, max(len(line), 1), LONGEST_LINE):
                self._add(line[at : at + LONGEST_LINE])
        while len(self._begun) >= LONGEST_LINE:
            self._add(self._begun[:LONGEST_LINE])
            self._begun = self._begun[LONGEST_LINE:]

    def end(self) -> None:
        """Take the last line, which has no end."""
        if self._begun:
            self._add(self._begun)
            self._begun = b""

    async def write(self) -> None:
        """Write the lines that wait. Raises what the database raises; the lines are kept then."""
        while self._lines:
            some = self._lines[:LINES_AT_ONCE]
            if self._log_id is not None:
                async with acquire(self._pool) as connection:
                    await insert_log_lines(
                        connection,
                        organization_id=self._organization_id,
                        log_id=self._log_id,
                        messages=some,
                    )
            del self._lines[: len(some)]

    def _add(self, line: bytes) -> None:
        if self._left <= 0:
            return
        self._left -= len(line) + LINE_BYTES
        if self._left <= 0:
            self._lines.append(CUT)
        else:
            # Postgres stores no character 0.
            text = (
                line.removesuffix(b"\r").decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
            )
            self._lines.append(text)
