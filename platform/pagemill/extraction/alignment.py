"""Search for the places where ground truth values are printed, by type and tolerant of misread letters.

A value that is not found stays unlocated: training on a guess would teach the guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from pagemill.extraction.candidates import NO_SPANS, Spans, candidate_key, typed_spans
from pagemill.extraction.decoding import field_type, fold, prints
from pagemill.extraction.layout import Layout
from pagemill.extraction.printed_dates import DateOrder

FUZZY_MINIMUM_LENGTH = 5
FUZZY_SIMILARITY = 82.0
EXACT_BOUNDARY_LENGTH = 4
"""Shorter strings must fill whole words: "3" is found inside nearly everything."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Tokens start..end (inclusive) of the page at ``page`` in the document's list of pages."""

    page: int
    start: int
    end: int


class PageText:
    """One page's tokens as a searchable string, with its typed candidates computed once."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._spans: dict[str, Spans | None] = {}

    @cached_property
    def _folded(self) -> list[str]:
        """Each token as it is compared. Only training searches: predictions never ask."""
        return [fold(text) for text in self.layout.texts]

    @cached_property
    def joined(self) -> str:
        """The folded tokens, one behind the other."""
        return "".join(self._folded)

    @cached_property
    def begins(self) -> NDArray[np.int64]:
        """Where each token begins in ``joined``, and where the last one ends."""
        return np.cumsum([0, *map(len, self._folded)])

    def spans(self, field: Mapping[str, object]) -> Spans | None:
        """Return the typed candidates of a field on this page; None for a string field."""
        key = candidate_key(field)
        if key not in self._spans:
            self._spans[key] = typed_spans(self.layout, field)
        return self._spans[key]

    def covering(self, begin: int, end: int) -> tuple[int, int, int]:
        """Return the first and last token of characters begin..end, and the length of these tokens."""
        first = int(np.searchsorted(self.begins, begin, side="right")) - 1
        last = int(np.searchsorted(self.begins, end, side="left")) - 1
        return first, last, int(self.begins[last + 1] - self.begins[first])

    def find(self, target: str) -> tuple[list[tuple[int, int]], bool]:
        """Return the spans of tokens that print ``target``, and whether they print nothing else."""
        exact: list[tuple[int, int]] = []
        wider: list[tuple[int, int]] = []
        position = self.joined.find(target)
        while position >= 0:
            first, last, length = self.covering(position, position + len(target))
            if length == len(target):
                exact.append((first, last))
            elif len(target) >= EXACT_BOUNDARY_LENGTH and length <= 1.3 * len(target) + 1:
                wider.append((first, last))
            position = self.joined.find(target, position + 1)
        return (exact, True) if exact else (wider, False)

    def find_similar(self, target: str) -> tuple[list[tuple[int, int]], float]:
        """Return the span most similar to ``target`` and its similarity in percent, or no span."""
        if len(target) < FUZZY_MINIMUM_LENGTH or not self.joined:
            return [], 0.0
        best = fuzz.partial_ratio_alignment(target, self.joined, score_cutoff=FUZZY_SIMILARITY - 7)
        if best is None or best.dest_end <= best.dest_start:
            return [], 0.0
        first, last, _ = self.covering(best.dest_start, best.dest_end)
        score = fuzz.ratio(target, self.joined[self.begins[first] : self.begins[last + 1]])
        return ([(first, last)], score) if score >= FUZZY_SIMILARITY else ([], 0.0)


def _string_occurrences(pages: Mapping[int, PageText], target: str) -> list[Occurrence]:
    found: dict[bool, list[Occurrence]] = {True: [], False: []}
    for index, page in pages.items():
        spans, exact = page.find(target)
        found[exact] += [Occurrence(index, *span) for span in spans]
    if found[True] or found[False]:
        return found[True] or found[False]
    similar = [(index, *page.find_similar(target)) for index, page in pages.items()]
    best = max((score for _, _, score in similar), default=0.0)
    return [
        Occurrence(index, *span) for index, spans, score in similar for span in spans if score >= best - 1
    ]


def _typed_occurrences(
    pages: Mapping[int, PageText], value: str, field: Mapping[str, object], order: DateOrder
) -> list[Occurrence]:
    """Return the candidates that print ``value``: dates in ``order``, or in the other one where none does."""
    candidates = [
        (Occurrence(index, start, end), page.layout.text(start, end))
        for index, page in pages.items()
        for start, end in (page.spans(field) or NO_SPANS).pairs()
    ]
    for chosen in (order, None) if field_type(field) == "date" else (order,):
        found = [place for place, text in candidates if prints(value, text, field, chosen)]
        if found:
            return found
    return []


def locate(
    pages: Sequence[PageText],
    value: str,
    field: Mapping[str, object],
    order: DateOrder = "day",
    hint: Iterable[int] = (),
) -> list[Occurrence]:
    """Return every occurrence of ``value``.

    ``hint`` names pages: when the value occurs on any of those, occurrences elsewhere are left out.
    """
    numbered = dict(enumerate(pages))
    hinted = {index: page for index, page in numbered.items() if page.layout.page in set(hint)}
    for chosen in (hinted, numbered):
        if not chosen:
            continue
        if field_type(field) == "string":
            target = fold(value)
            found = _string_occurrences(chosen, target) if target else []
        else:
            found = _typed_occurrences(chosen, value, field, order)
        if found:
            return found
    return []


def page_hint(item: Mapping[str, object]) -> list[int]:
    """Return the page numbers of a ground truth item; anything else in ``pages`` is left out."""
    pages = item.get("pages")
    if not isinstance(pages, list):
        return []
    return [page for page in pages if isinstance(page, int) and not isinstance(page, bool)]
