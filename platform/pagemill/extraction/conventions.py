"""Choice between the readings of a value: by the field's ground truth, and by the rest of the document.

"05/12/2018" is in May or in December, "1,234" is a thousand or a quarter more than one. A field's votes count
how the values of its ground truth were printed; dates and amounts with one reading show how a document prints
them. Where neither decides, the value keeps only the probability of the more usual reading.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from pagemill.extraction.alignment import PageText
from pagemill.extraction.candidates import NO_SPANS, candidate_key
from pagemill.extraction.damaged_money import repair
from pagemill.extraction.decoding import as_amount, field_type, normalise, numbers_meant
from pagemill.extraction.field_options import Convention, certainty_of, conventions_of
from pagemill.extraction.printed_dates import DateOrder, date_readings
from pagemill.extraction.printed_numbers import DecimalMark, PrintedNumber, read_number
from pagemill.extraction.types import FieldDefinition

Votes = Mapping[Convention, int]
PAIRS: tuple[tuple[Convention, Convention], ...] = (("day", "month"), ("point", "comma"))

MARGIN = 0.5
"""Votes that each convention has before any is counted."""
WITNESS = math.log(20.0)
"""Weight of a value of the document with one reading: it is of the same convention 20 times in 21."""
MOST_WITNESSES = 4
DECLARED = math.log(1000.0)
"""Weight of what the field's format says."""
USUAL_ORDER = math.log(1.5)
"""Weight for the day before the month where nothing else is known: most countries print it so."""
USUAL_GROUPS = math.log(4.0)
"""Weight for groups of three digits where nothing else is known: few numbers have three decimals."""

DATE: FieldDefinition = {"type": "date"}
_ALL_DIGITS = re.compile(r"\D*\d{1,2}\s?([./-])\s?\d{1,2}\s?\1\s?(?:\d{2}|\d{4})\D*")
"""A date that can be a witness. "12 15.53" could be one as well, but is how many and for how much."""


class Reading(NamedTuple):
    """A value by its field's type, and the probability that it is what the print means."""

    value: str
    certainty: float = 1.0


CellReader = Callable[[str, str, FieldDefinition], Reading | None]
"""Reads the print of a column of a lines field: (column, text, definition)."""


def total_votes(shards: Sequence[Mapping[str, Votes]]) -> dict[str, dict[Convention, int]]:
    """Return the votes of each field from all ranks; a field without its own has those of all fields."""
    fields: dict[str, Counter[Convention]] = {}
    together: Counter[Convention] = Counter()
    for shard in shards:
        for name, votes in shard.items():
            fields.setdefault(name, Counter()).update(votes)
            together.update(votes)
    return {
        name: {
            convention: (own if any(own[each] for each in pair) else together)[convention]
            for pair in PAIRS
            for convention in pair
        }
        for name, own in fields.items()
    }


def vote(value: str, document: DocumentValues, definition: FieldDefinition) -> Counter[Convention]:
    """Return how a value of the ground truth is printed, when all its prints agree."""
    kind = field_type(definition)
    if kind == "date":
        shown = _printed_orders(value, document.prints(definition))
    elif kind in ("amount", "numeric"):
        shown = _printed_marks(value, document.prints(definition))
    else:
        return Counter()
    return Counter(shown) if len(shown) == 1 else Counter()


def _printed_orders(value: str, prints: Sequence[str]) -> set[Convention]:
    meant = date_readings(value)
    if len(meant) == 1:
        return set(meant)
    if len(set(meant.values())) != 1:
        return set()
    (iso,) = set(meant.values())
    shown: set[Convention] = set()
    for text in prints:
        readings = date_readings(text)
        if len(set(readings.values())) > 1 or len(readings) == 1:
            shown.update(order for order, reading in readings.items() if reading == iso)
    return shown


def _printed_marks(value: str, prints: Sequence[str]) -> set[Convention]:
    meant = numbers_meant(value)
    shown: set[Convention] = set()
    for text in prints:
        found = read_number(text)
        marks = [mark for mark, number in found.values.items() if number in meant] if found else []
        if len(marks) == 1:
            shown.add(marks[0])
    return shown


class DocumentValues:
    """Values of a document that have one reading; they show how it prints dates and numbers."""

    def __init__(self, pages: Sequence[PageText]) -> None:
        self._pages = pages
        self._prints: dict[str, list[str]] = {}

    def prints(self, definition: FieldDefinition) -> list[str]:
        """Return the texts of all candidates of a field."""
        key = candidate_key(definition)
        if key not in self._prints:
            self._prints[key] = [
                page.layout.text(start, end)
                for page in self._pages
                for start, end in (page.spans(definition) or NO_SPANS).pairs()
            ]
        return self._prints[key]

    @cached_property
    def orders(self) -> Counter[Convention]:
        """The number of different dates that can be read in one order of day and month only."""
        dates = {
            (order, iso)
            for text in self.prints(DATE)
            if _ALL_DIGITS.fullmatch(text)
            for order, iso in date_readings(text).items()
            if len(date_readings(text)) == 1
        }
        return Counter[Convention](order for order, _ in dates)

    @cached_property
    def _sums(self) -> Counter[tuple[DecimalMark, Decimal]]:
        return Counter(
            (mark, number)
            for page in self._pages
            for text in page.layout.texts
            if not text.isalpha() and (found := _with_cents(text)) is not None
            for mark, number in found.values.items()
        )

    @cached_property
    def marks(self) -> Counter[Convention]:
        """The number of different sums of money for each mark of decimals."""
        return Counter[Convention](mark for mark, _ in self._sums)

    @cached_property
    def amounts(self) -> Counter[Decimal]:
        """The sums of money that are printed with two decimals, and how often."""
        amounts: Counter[Decimal] = Counter()
        for (_, number), count in self._sums.items():
            amounts[abs(number)] += count
        return amounts


def _with_cents(text: str) -> PrintedNumber | None:
    """Return a sum of money with two decimals, which shows what its marks mean."""
    found = read_number(text)
    if found is None or len(found.values) != 1 or found.is_percentage:
        return None
    (number,) = found.values.values()
    return found if number.as_tuple().exponent == -2 else None


def _odds(votes: Votes, first: Convention, second: Convention, document: Mapping[Convention, int]) -> float:
    """Return the log odds of the first convention against the second one."""
    learned = math.log((votes.get(first, 0) + MARGIN) / (votes.get(second, 0) + MARGIN))
    seen = min(document.get(first, 0), MOST_WITNESSES) - min(document.get(second, 0), MOST_WITNESSES)
    return learned + WITNESS * seen


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-max(min(odds, 30.0), -30.0)))


class ValueReader:
    """Reader of the values of one document, by the votes of each field."""

    def __init__(self, values: DocumentValues, votes: Mapping[str, Votes]) -> None:
        self._values, self._votes = values, votes

    def read(self, name: str, text: str, definition: FieldDefinition) -> Reading | None:
        """Return the likeliest value of a print of field ``name``; None when it is no value of its type."""
        reading = self._read(name, text, definition)
        if reading is None:
            return None
        share = certainty_of(reading.value, text, definition)
        return Reading(reading.value, reading.certainty * share) if share else None

    def _read(self, name: str, text: str, definition: FieldDefinition) -> Reading | None:
        kind = field_type(definition)
        if kind == "date":
            return self._date(name, text, conventions_of(definition))
        if kind in ("amount", "numeric"):
            return self._number(name, text, definition)
        value = normalise(text, definition)
        return None if value is None else Reading(value)

    def of_columns(self, label: str) -> CellReader:
        """Return the reader of the columns of a lines field."""
        return lambda column, text, definition: self.read(f"{label}.{column}", text, definition)

    def _date(self, name: str, text: str, declared: Collection[Convention]) -> Reading | None:
        readings = date_readings(text)
        if len(set(readings.values())) < 2:
            return next((Reading(iso) for iso in readings.values()), None)
        odds = _odds(self._votes.get(name, {}), "day", "month", self._values.orders) + USUAL_ORDER
        odds += DECLARED * (("day" in declared) - ("month" in declared))
        order: DateOrder = "day" if odds >= 0 else "month"
        return Reading(readings[order], _probability(abs(odds)))

    def _number(self, name: str, text: str, definition: FieldDefinition) -> Reading | None:
        kind = field_type(definition)
        found = read_number(text)
        if found is None:
            return self._repaired(text) if kind == "amount" else None
        if found.is_percentage and kind == "amount":
            return None
        mark, certainty = self._mark(name, found, conventions_of(definition))
        number = found.value(mark)
        value = as_amount(number) if kind == "amount" else f"{number:f}"
        return None if value is None else Reading(value, certainty)

    def _mark(
        self, name: str, found: PrintedNumber, declared: Collection[Convention]
    ) -> tuple[DecimalMark | None, float]:
        if len(set(found.values.values())) < 2:
            return None, 1.0
        # Read by the point, "1.234" has decimals; "1,234" has groups.
        grouped: DecimalMark = max(found.values, key=lambda mark: abs(found.values[mark]))
        other: DecimalMark = "comma" if grouped == "point" else "point"
        odds = _odds(self._votes.get(name, {}), grouped, other, self._values.marks) + USUAL_GROUPS
        odds += DECLARED * ((grouped in declared) - (other in declared))
        return (grouped if odds >= 0 else other), _probability(abs(odds))

    def _repaired(self, text: str) -> Reading | None:
        repaired = repair(text, self._values.amounts)
        value = as_amount(repaired[0]) if repaired else None
        return None if repaired is None or value is None else Reading(value, repaired[1])
