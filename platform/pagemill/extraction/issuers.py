"""Issuers of documents: which documents look as if they came from the same one.

What is learned from an issuer's documents tells nothing of how well those of others will be read: documents
of one issuer do not belong on both sides of a hold-out.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import msgspec
import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.decoding import field_type, fold
from pagemill.extraction.sheets import Sheet
from pagemill.extraction.types import FieldDefinitions

HEADER_BOTTOM = 0.25
"""The part of the first page, from its top, where the issuer stands as a rule."""
HEADER_WORDS = 60
SHORTEST_WORD = 3
ALIKE = 0.5
"""Weighted share of the words of two headers that has to be common."""
MOST_WORDS = 4096
MOST_COMPARED = 10_000
"""With more documents each is an issuer of its own, unless a value says otherwise."""
COMPARED_PAIRS = 200
ROWS = 512


class Signature(msgspec.Struct, frozen=True):
    """The words in a document's header, and its values of fields that might name the issuer."""

    words: list[str]
    names: dict[str, str]


def sign(sheet: Sheet, values: Mapping[str, Sequence[str]], fields: FieldDefinitions) -> Signature:
    """Return the signature of a document with some labelled values."""
    names = {
        label: fold(texts[0])
        for label, texts in values.items()
        if texts and field_type(fields[label]) == "string" and _is_name(texts[0])
    }
    return Signature(sorted(set(_header(sheet))), names)


def _is_name(text: str) -> bool:
    """Return whether a text has more letters than digits: numbers of documents are no names."""
    return sum(map(str.isalpha, text)) > 2 * sum(map(str.isdigit, text))


def _header(sheet: Sheet) -> Iterator[str]:
    if not sheet.pages:
        return
    layout = sheet.pages[0].layout
    words = (
        "".join(filter(str.isalpha, text)).lower()
        for text, box in zip(layout.texts, layout.boxes, strict=True)
        if (box[1] + box[3]) / 2 <= HEADER_BOTTOM
    )
    yield from [word for word in words if len(word) >= SHORTEST_WORD][:HEADER_WORDS]


def group_by_issuer(signatures: Sequence[Signature]) -> list[int]:
    """Return the group of each document: the place of its first document.

    Documents belong together when the rarer words of their headers are mostly the same. A field names the
    issuer where documents with the same value have such headers as a rule: then its values join documents
    too. The buyer's name does not: it stands on the documents of many issuers.
    """
    groups = _Groups(len(signatures))
    headers = _Headers(signatures)
    for first, second in headers.alike_pairs():
        groups.join(first, second)
    for label in {label for signature in signatures for label in signature.names}:
        by_value: dict[str, list[int]] = defaultdict(list)
        for place, signature in enumerate(signatures):
            if label in signature.names:
                by_value[signature.names[label]].append(place)
        shared = [places for places in by_value.values() if len(places) > 1]
        if shared and headers.are_alike_as_a_rule(shared):
            for places in shared:
                for place in places[1:]:
                    groups.join(places[0], place)
    return [groups.first(place) for place in range(len(signatures))]


class _Groups:
    """Disjoint sets of places."""

    def __init__(self, number: int) -> None:
        self._parents = list(range(number))

    def first(self, place: int) -> int:
        while self._parents[place] != place:
            self._parents[place] = self._parents[self._parents[place]]
            place = self._parents[place]
        return place

    def join(self, first: int, second: int) -> None:
        low, high = sorted((self.first(first), self.first(second)))
        self._parents[high] = low


class _Headers:
    """Headers as rows of a table; words that nearly all documents have weigh nearly nothing."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        number = len(signatures)
        counts = Counter(word for signature in signatures for word in signature.words)
        kept = [word for word, count in counts.most_common(MOST_WORDS) if count > 1]
        place = {word: column for column, word in enumerate(kept)}
        self._known = number <= MOST_COMPARED
        self._table = np.zeros((number if self._known else 0, len(kept)), dtype=np.float32)
        weights = {word: float(np.log(number / count)) for word, count in counts.items()}
        self._weights = np.array([weights[word] for word in kept], dtype=np.float32)
        self._sizes = np.array(
            [sum(weights[word] for word in signature.words) for signature in signatures], dtype=np.float32
        )
        for row, signature in enumerate(signatures if self._known else ()):
            self._table[row, [place[word] for word in signature.words if word in place]] = 1.0

    def alike_pairs(self) -> Iterator[tuple[int, int]]:
        """Yield each pair of documents whose headers are alike."""
        for begin in range(0, len(self._table), ROWS):
            rows = np.arange(begin, min(begin + ROWS, len(self._table)))
            alike = self._similarities(rows) >= ALIKE
            for row, other in np.argwhere(alike):
                if rows[row] < other:
                    yield int(rows[row]), int(other)

    def are_alike_as_a_rule(self, shared: Sequence[Sequence[int]]) -> bool:
        """Return whether most pairs of documents with the same value have headers that are alike."""
        if not self._known:
            return True
        pairs = [pair for places in shared for pair in combinations(places[:4], 2)][:COMPARED_PAIRS]
        alike = sum(
            float(self._similarities(np.array([first]))[0, second]) >= ALIKE / 2 for first, second in pairs
        )
        return alike > len(pairs) / 2

    def _similarities(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the weight of the common words of some documents and all, as a share of that of both's."""
        common = (self._table[rows] * self._weights) @ self._table.T
        either = self._sizes[rows][:, None] + self._sizes[None, :] - common
        return np.divide(common, either, out=np.zeros_like(common), where=either > 0)


def assign_folds(documents: Sequence[str], groups: Sequence[int], folds: int, seed: int) -> list[int]:
    """Return the fold of each document: folds of about the same size, which share no group.

    A group that is larger than a fold is divided: where most documents are of one issuer, so will those be
    that come. The same documents give the same folds, in whichever order they come.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        members[group].append(place)
    size = -(-len(documents) // folds)
    parts: list[list[int]] = []
    for places in members.values():
        parts += [places] if len(places) <= size else [[place] for place in places]

    def drawn(places: list[int]) -> tuple[int, bytes]:
        name = min(documents[place] for place in places)
        return -len(places), hashlib.blake2b(f"{seed}\x1f{name}".encode()).digest()

    assigned, sizes = [0] * len(documents), [0] * folds
    for places in sorted(parts, key=drawn):
        smallest = sizes.index(min(sizes))
        sizes[smallest] += len(places)
        for place in places:
            assigned[place] = smallest
    return assigned
