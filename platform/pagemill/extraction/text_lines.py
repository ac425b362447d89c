"""Lines of text from the boxes of words. Lines may be slightly skewed."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter
from statistics import median

from pagemill.extraction.types import Word

SAME_LINE_OVERLAP = 0.5
HORIZONTAL_OVERLAP_ALLOWED = 0.3
SMALL = 0.7
SUPERSCRIPT_SPACE = 0.4
WORD_SPACE = 0.4
"""Words of one font that stand closer than this share of their height are one run."""
SAME_HEIGHT = 1e-4
NEIGHBOUR = 0.05
FEWEST_NEIGHBOURS = 6
LINES_COMPARED = 24
"""Lines above and below that a run is compared with: the bound that keeps crowded pages linear."""


class Run:
    """Words side by side on one line, from the left; ``words`` holds their positions.

    ``middle`` is the height of its middle; a run only grows to the right.
    """

    __slots__ = ("middle", "words", "x0", "x1", "y0", "y1")

    def __init__(self, x0: float, y0: float, x1: float, y1: float, words: list[int]) -> None:
        self.x0 = x0
        self.y0 = y0
        self.x1 = x1
        self.y1 = y1
        self.middle = (y0 + y1) / 2
        self.words = words


TextLine = list[Run]
"""Runs of one line, from the left."""


def skew(lines: Sequence[TextLine]) -> float:
    """Return how far lines fall on their way across the page: the median of neighbours, 0 for few."""
    slopes = [
        (after.middle - before.middle) / (after.x0 + after.x1 - before.x0 - before.x1) * 2
        for line in lines
        for before, after in pairwise(line)
        if before.x0 < before.x1 <= after.x0 < before.x1 + NEIGHBOUR
    ]
    return median(slopes) if len(slopes) >= FEWEST_NEIGHBOURS else 0.0


def text_lines(words: Sequence[Word], positions: Sequence[int], aspect: float) -> list[TextLine]:
    """Return the lines of some words from the top; a line runs across the whole page."""
    return join_runs(_runs(words, positions, aspect))


def join_runs(runs: list[Run]) -> list[TextLine]:
    """Return runs as lines, from the top."""
    joining = _Lines()
    for run in sorted(runs, key=attrgetter("x0")):
        joining.add(run)
    return sorted([line.runs for line in joining.lines], key=_middle_of_line)


def _middle_of_line(line: TextLine) -> float:
    return sum([(run.y0 + run.y1) * len(run.words) for run in line]) / sum([len(run.words) for run in line])


def _runs(words: Sequence[Word], positions: Sequence[int], aspect: float) -> list[Run]:
    """Join words that follow each other on one line, as text layers mostly give them."""
    runs: list[Run] = []
    right = top = bottom = -1.0
    for position in positions:
        word = words[position]
        x0, y0, y1 = word.x0, word.y0, word.y1
        if (
            -SAME_HEIGHT < y0 - top < SAME_HEIGHT
            and -SAME_HEIGHT < y1 - bottom < SAME_HEIGHT
            and 0.0 <= (x0 - right) * aspect < WORD_SPACE * (y1 - y0)
        ):
            run = runs[-1]
            run.words.append(position)
            run.x1 = right = word.x1
        else:
            right, top, bottom = word.x1, y0, y1
            runs.append(Run(x0, y0, right, y1, [position]))
    return runs


class _Line:
    """A line that grows to the right: its runs, and the height of the one that the next is compared with."""

    __slots__ = ("height", "runs", "y0", "y1")

    def __init__(self) -> None:
        self.runs: TextLine = []
        self.y0 = self.y1 = self.height = 0.0

    def append(self, run: Run) -> None:
        """Add a run at the end."""
        self.runs.append(run)
        body = _body(self.runs) if len(self.runs) > 1 else run
        self.y0, self.y1, self.height = body.y0, body.y1, body.y1 - body.y0


class _Lines:
    """Lines that grow to the right, ordered by the middle of their last run."""

    def __init__(self) -> None:
        self.lines: list[_Line] = []
        self._middles: list[float] = []
        self._by_middle: list[_Line] = []
        self._by_height: dict[tuple[float, float], _Line] = {}
        self._tallest = 0.0

    def add(self, run: Run) -> None:
        """Add a run that begins right of where all runs before it began."""
        height = (run.y0, run.y1)
        line = self._by_height.get(height)
        if line is not None and line.runs[-1].y0 == run.y0 and line.runs[-1].y1 == run.y1:
            # Text on one baseline is one line, even where a long word runs into the next cell.
            line.runs.append(run)
            line.y0, line.y1, line.height = run.y0, run.y1, run.y1 - run.y0
            return
        self._tallest = max(self._tallest, run.y1 - run.y0)
        line = self._best(run)
        if line is None:
            line = _Line()
            self.lines.append(line)
        else:
            self._forget(line)
        line.append(run)
        self._by_height[height] = line
        at = bisect_left(self._middles, run.middle)
        self._middles.insert(at, run.middle)
        self._by_middle.insert(at, line)

    def _forget(self, line: _Line) -> None:
        at = bisect_left(self._middles, line.runs[-1].middle)
        while self._by_middle[at] is not line:
            at += 1
        del self._middles[at], self._by_middle[at]

    def _best(self, run: Run) -> _Line | None:
        """Return the line that overlaps most in height where it ends, by the lower one's height."""
        middles, middle, reach = self._middles, run.middle, self._tallest
        top, bottom = run.y0, run.y1
        height = bottom - top
        at = bisect_left(middles, middle)
        first = bisect_left(middles, middle - reach, max(at - LINES_COMPARED, 0), at)
        end = min(bisect_right(middles, middle + reach, at), at + LINES_COMPARED)
        best, best_overlap = None, SAME_LINE_OVERLAP
        # Without calls: most of the time of a page's order goes into these comparisons.
        for line in self._by_middle[first:end]:
            lower = height if height < line.height else line.height
            common = (bottom if bottom < line.y1 else line.y1) - (top if top > line.y0 else line.y0)
            if lower > 0 and common / lower > best_overlap and _beside(line.runs[-1], run):
                best, best_overlap = line, common / lower
        return best


def _body(line: TextLine) -> Run:
    """Return the last of several runs, or the one before it where that is set small and close to it.

    It is a superscript then.
    """
    before, last = line[-2:]
    height = before.y1 - before.y0
    if last.y1 - last.y0 < SMALL * height and last.x0 - before.x1 < SUPERSCRIPT_SPACE * height:
        return before
    return last


def _beside(last: Run, run: Run) -> bool:
    width = min(last.x1 - last.x0, run.x1 - run.x0)
    return last.x1 - run.x0 <= HORIZONTAL_OVERLAP_ALLOWED * width
