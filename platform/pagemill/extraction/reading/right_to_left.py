"""Right-to-left words of a text layer in logical order, whatever order their characters were drawn in.

Producers draw such text in visual order (from the left, as it is seen) or in logical order, and pdfium turns
round what it takes for visual. Where the characters stand decides: the first of a word stands rightmost.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pagemill.extraction.bidirectional import (
    RIGHT_TO_LEFT,
    Direction,
    character_direction,
    logical_order,
)
from pagemill.extraction.reading.characters import Character
from pagemill.extraction.reading.word_geometry import PRESENTATION_FORMS

SAME_BOX = 0.05
NEXT_WORD = 1.0
"""Widest space between words, as a share of a character's size, over which Arabic text goes on."""
MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")
SIGNS = "+-\u2212"
LONGEST_RUN = 500
"""No line has more characters without a space; longer runs are left as they are, to bound the time."""
PERCENT = "%\u066a\u2030"
LIGATURES = frozenset(plain for plain in PRESENTATION_FORMS.values() if len(plain) > 1)
"""Letters of one glyph in logical order: pdfium turns them round where a font names them one by one."""

Cluster = list[Character]
"""A character with its marks, or the letters of one ligature."""


class LogicalOrder:
    """Puts the words of one page in logical order; remembers the word before for the numbers after it."""

    def __init__(self, widest_gap: float) -> None:
        self._widest_gap = widest_gap
        self._arabic: Character | None = None

    def words(self, run: list[Character]) -> Iterator[list[Character]]:
        """Return the words of a run of characters without white space."""
        if len(run) > LONGEST_RUN or not _is_level(run):
            yield run
        elif any(RIGHT_TO_LEFT.match(one.text) for one in run):
            for clusters in _split(_from_the_left(run), self._widest_gap):
                yield _logical(clusters)
        else:
            for clusters in _split([[one] for one in sorted(run, key=_centre)], self._widest_gap):
                part = {id(cluster[0]) for cluster in clusters}
                yield self._number([one for one in run if id(one) in part])
        self._remember(run)

    def _number(self, run: list[Character]) -> list[Character]:
        """Return Latin letters and digits from left to right, signs where the algorithm of Unicode puts them.

        Between digits that follow Arabic letters, a hyphen does not join them: 2024-117 is shown as 117-2024.
        """
        directions = [character_direction(one.text) for one in run]
        leftmost = min(run, key=_centre)
        signed = leftmost.text in PERCENT or any(one.text in SIGNS for one in run)
        if signed and "left" not in directions and (self._continues(run) or _arabic_digits(run)):
            return _logical([[one] for one in sorted(run, key=_centre)], signs_join=False)
        kept = [at for at, direction in enumerate(directions) if direction in ("left", "number")]
        if not kept or _centre(run[kept[0]]) <= _centre(run[kept[-1]]):
            return run
        start, end = kept[0], kept[-1] + 1
        return [*run[:start], *sorted(run[start:end], key=_centre), *run[end:]]

    def _continues(self, run: Sequence[Character]) -> bool:
        """Return whether the run stands left of Arabic letters on their line."""
        before = self._arabic
        if before is None:
            return False
        right = max(one.x1 for one in run)
        on_line = min(before.y1, run[0].y1) - max(before.y0, run[0].y0) > (run[0].y1 - run[0].y0) / 2
        return on_line and 0 <= before.x0 - right + run[0].size / 4 <= NEXT_WORD * run[0].size

    def _remember(self, run: Sequence[Character]) -> None:
        kinds = {unicodedata.bidirectional(one.text) for one in run}
        if "AL" in kinds:
            self._arabic = min(run, key=_centre)
        elif kinds & {"L", "R"}:
            self._arabic = None


def _centre(character: Character) -> float:
    return character.x0 + character.x1


def _is_level(run: Sequence[Character]) -> bool:
    across, down = [one.x0 + one.x1 for one in run], [one.y0 + one.y1 for one in run]
    return max(across) - min(across) >= max(down) - min(down)


def _arabic_digits(run: Sequence[Character]) -> bool:
    return any(unicodedata.bidirectional(one.text) == "AN" for one in run)


def _from_the_left(run: Sequence[Character]) -> list[Cluster]:
    """Return characters in visual order, each with its marks."""
    clusters: list[Cluster] = []
    marks: list[tuple[Character, Cluster | None]] = []
    for one in run:
        last = clusters[-1] if clusters else None
        if unicodedata.category(one.text) == "Mn":
            marks.append((one, last))
        elif last is not None and _same_box(last[0], one):
            last.append(one)
        else:
            clusters.append([one])
    clusters.sort(key=lambda cluster: _centre(cluster[0]))
    for cluster in clusters:
        _turn_ligature(cluster)
    for mark, last in marks:
        _base_of(mark, last, clusters).append(mark)
    return clusters


def _base_of(mark: Character, last: Cluster | None, clusters: list[Cluster]) -> Cluster:
    """Return the cluster below or above which a mark stands: the one before it where both do."""
    middle = _centre(mark) / 2
    if last is not None and last[0].x0 <= middle <= last[0].x1:
        return last
    if not clusters:
        clusters.append([])
    return min(clusters, key=lambda one: abs(_centre(one[0]) / 2 - middle) if one else 0.0)


def _same_box(one: Character, other: Character) -> bool:
    allowed = SAME_BOX * (one.x1 - one.x0)
    return abs(one.x0 - other.x0) <= allowed and abs(one.x1 - other.x1) <= allowed


def _turn_ligature(cluster: Cluster) -> None:
    letters = "".join(one.text for one in cluster)
    if letters not in LIGATURES and letters[::-1] in LIGATURES:
        cluster.reverse()


def _split(clusters: list[Cluster], widest_gap: float) -> list[list[Cluster]]:
    """Return the words of characters in visual order, from the right."""
    words: list[list[Cluster]] = [clusters[:1]]
    for before, after in pairwise(clusters):
        if after[0].x0 - before[0].x1 > widest_gap * max(before[0].size, after[0].size):
            words.append([])
        words[-1].append(after)
    return words[::-1]


def _logical(clusters: Sequence[Cluster], *, signs_join: bool = True) -> list[Character]:
    directions: list[Direction] = [
        "neutral"
        if not signs_join and cluster[0].text in SIGNS
        else "neutral"
        if at == 0 and cluster[0].text in PERCENT
        else character_direction(cluster[0].text)
        for at, cluster in enumerate(clusters)
    ]
    order = logical_order(directions, right_to_left=True)
    return [one for at in order for one in clusters[at]]


def balanced(text: str) -> str:
    """Return the text with its brackets turned round if they close before they open."""
    opened, closed = (
        min((at for at in map(text.find, kind) if at >= 0), default=-1) for kind in ("([{<«", ")]}>»")
    )
    return text.translate(MIRRORED) if 0 <= closed < opened else text
