"""Output of a container: bytes become lines, and of many lines the first and the last are kept."""

from __future__ import annotations

from collections import deque
from typing import Final

MOST_LINES: Final = 9_000
"""Lines that are kept of one container: with what else stands in a log, the API shows them all."""
MOST_BYTES: Final = 4 * 1024 * 1024
MOST_COUNTED: Final = 1_000_000
"""Lines after which the output is not read any more: counting on would cost more than the number is worth."""
LAST_LINES: Final = 50
CUT_MARK: Final = " ... (cut)"


class LineSplitter:
    """Splitter of bytes into lines of at most ``longest`` bytes; the rest of a line is dropped."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._begun = bytearray()
        self._cut = False

    def feed(self, data: bytes) -> list[str]:
        """Take bytes and return the lines that they complete."""
        *ends, rest = data.split(b"\n")
        lines = []
        for end in ends:
            self._add(end)
            lines.append(self._take())
        self._add(rest)
        return lines

    def close(self) -> list[str]:
        """Return the last line if it has no end."""
        return [self._take()] if self._begun else []

    def _add(self, data: bytes) -> None:
        room = self._longest - len(self._begun)
        self._begun += data[:room]
        self._cut = self._cut or len(data) > room

    def _take(self) -> str:
        text = readable(bytes(self._begun)) + (CUT_MARK if self._cut else "")
        self._begun.clear()
        self._cut = False
        return text


def readable(line: bytes) -> str:
    """Return a line as text that Postgres can store."""
    text = line.removesuffix(b"\r").decode(errors="replace")
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


class OutputLines:
    """Lines of one container in their order: it decides which are kept.

    ``taken`` is how many lines, from the first on, have been written to the log before; these are counted
    again, but not kept again.
    """

    def __init__(self, longest_line: int, taken: int = 0) -> None:
        self._longest_line, self._taken = longest_line, taken
        self.restart(taken)

    def restart(self, taken: int) -> None:
        """Begin anew with the first line, of an output of which ``taken`` lines are written already."""
        self._taken = taken
        self._splitters: dict[int, LineSplitter] = {}
        self._bytes = 0
        self.count = 0
        self.left_out = 0
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self._has_gaps = False

    @property
    def is_endless(self) -> bool:
        """Return whether so much has been written that nobody needs to read on."""
        return self.count >= MOST_COUNTED

    def feed(self, stream: int, data: bytes) -> list[str]:
        """Take bytes of a stream and return the lines to keep."""
        splitter = self._splitters.setdefault(stream, LineSplitter(self._longest_line))
        return self._choose(splitter.feed(data))

    def close(self) -> list[str]:
        """Return the lines to keep that have no end."""
        return self._choose([line for one in self._splitters.values() for line in one.close()])

    def replace_last(self, lines: list[str]) -> None:
        """Take the last lines from who has them: those that were read before may be others.

        An engine that keeps only a part of what a container prints forgets what nobody has read in time.
        """
        self._has_gaps = self._has_gaps or list(self.last)[-len(lines) :] != lines
        self.last = deque(lines, maxlen=LAST_LINES)

    def summary(self) -> list[str]:
        """Return the lines that stand for those that were left out, and the last of them."""
        if not self.left_out:
            return []
        shown = list(self.last)[-min(self.left_out, LAST_LINES) :]
        hidden = self.left_out - len(shown)
        if not hidden:
            return shown
        number = f"more than {hidden:,}" if self._has_gaps else f"{hidden:,}"
        return [f"... {number} lines are left out: a log keeps {MOST_LINES:,} lines or 4 MiB ...", *shown]

    def _choose(self, lines: list[str]) -> list[str]:
        kept = []
        for line in lines:
            self.count += 1
            self.last.append(line)
            self._bytes += len(line)
            if self.count > MOST_LINES or self._bytes > MOST_BYTES:
                self.left_out += 1
            elif self.count > self._taken:
                kept.append(line)
        return kept
