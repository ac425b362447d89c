"""Log of a container: its lines go into the log of its step while it writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from db.containers import append_output, find_output_lines
from db.pool import Pool, acquire
from pagemill.containers.engine import OutputPiece
from pagemill.containers.output import OutputLines
from pagemill.ids import LogId, OrganizationId
from pagemill.jobs.job import JobCancelled
from pagemill.workflows.logs import LONGEST_LINE

LINES_AT_ONCE: Final = 200


class ContainerOutput:
    """Output of one container on its way into a log.

    The log's row says how far it is: whoever follows the container after this process goes on there, and no
    line is written twice. ``resume`` is called first, and before the output is read from its start again.
    """

    def __init__(self, pool: Pool, organization_id: OrganizationId, log_id: LogId | None) -> None:
        self._pool, self._organization_id, self._log_id = pool, organization_id, log_id
        self._lines = OutputLines(LONGEST_LINE)
        self._waiting: list[str] = []
        self._written = 0

    @property
    def waits(self) -> bool:
        """Return whether lines wait to be written."""
        return bool(self._waiting)

    @property
    def is_endless(self) -> bool:
        """Return whether nobody needs to read on."""
        return self._lines.is_endless

    @property
    def is_cut(self) -> bool:
        """Return whether lines were left out."""
        return self._lines.left_out > 0

    @property
    def last_lines(self) -> list[str]:
        """Return the last lines that were read."""
        return list(self._lines.last)

    async def resume(self) -> None:
        """Forget what was read, and see in the row how much of it was written."""
        taken = 0
        if self._log_id is not None:
            async with acquire(self._pool) as connection:
                taken = (
                    await find_output_lines(
                        connection, organization_id=self._organization_id, log_id=self._log_id
                    )
                    or 0
                )
        self._written, self._waiting = taken, []
        self._lines.restart(taken)

    async def take(self, piece: OutputPiece) -> None:
        """Take what the container has written. Raises JobCancelled when somebody else follows it."""
        self._waiting += self._lines.feed(piece.stream, piece.data)
        if len(self._waiting) >= LINES_AT_ONCE:
            await self.write()

    def replace_last(self, pieces: Sequence[OutputPiece]) -> None:
        """Take the last lines as the engine has them, of an output that is not kept as a whole."""
        last = OutputLines(LONGEST_LINE)
        for piece in pieces:
            last.feed(piece.stream, piece.data)
        last.close()
        self._lines.replace_last(list(last.last))

    async def write(self) -> None:
        """Write the lines that wait. Raises JobCancelled."""
        await self._write_until(self._lines.count)

    async def close(self) -> None:
        """Write the rest, and what stands for lines that were left out. Raises JobCancelled."""
        self._waiting += self._lines.close()
        summary = self._lines.summary()
        self._waiting += summary
        await self._write_until(self._lines.count + bool(summary))

    async def _write_until(self, line: int) -> None:
        messages, self._waiting = self._waiting, []
        if self._log_id is None or line <= self._written:
            return
        async with acquire(self._pool) as connection:
            written = await append_output(
                connection,
                organization_id=self._organization_id,
                log_id=self._log_id,
                from_line=self._written,
                to_line=line,
                messages=messages,
            )
        if written is None:
            raise JobCancelled("Somebody else follows the container, or its log is gone")
        self._written = line
