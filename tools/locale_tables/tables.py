"""Selection of what the platform needs from CLDR, which Babel brings along."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypedDict

from babel import Locale
from babel.core import get_global

from pagemill.extraction.printed_characters import comparable

LANGUAGES = (
    "en de fr es pt it nl da nb nn sv fi is et lv lt pl cs sk sl sr bs hr mk bg ro hu el tr az uk be ru kk "
    "uz ka hy he ar fa ur hi mr bn ta te kn ml gu pa ne si th lo km my vi id ms fil sw zu xh af ca gl eu "
    "ga cy mt lb sq ja ko zh mn am so ha yo ig"
)
"""Where two languages give a name to different months, the first one listed wins."""
AUSTRIAN = "de_AT"
ALSO_MONTHS = {"maerz": 3, "sept": 9, "feber": 2, "jänner": 1, "okt": 10, "des": 12, "dez": 12}
"""Spellings that are common in print and not in CLDR."""
SHORTEST_NAME = 3
SHORTEST_NAME_OF_OTHER_SCRIPTS = 2
SHORTEST_WORD = 2

_NOT_A_NAME = re.compile(r"[\d\s]")
_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|[.'’])*")


class Tables(TypedDict):
    """Months by name; symbols, codes and words of money. All names are in their comparable form."""

    months: dict[str, int]
    currencies: list[str]


def month_names() -> dict[str, int]:
    """Return the wide and the abbreviated names of months; those of other languages are other names."""
    months = {comparable(name): number for name, number in ALSO_MONTHS.items()}
    for identifier in (*LANGUAGES.split(), AUSTRIAN):
        for number, name in _months_of(Locale.parse(identifier)):
            key = comparable(name)
            if len(key) >= (
                SHORTEST_NAME if key.isascii() else SHORTEST_NAME_OF_OTHER_SCRIPTS
            ) and not _NOT_A_NAME.search(key):
                months.setdefault(key, number)
    return months


def _months_of(locale: Locale) -> Iterator[tuple[int, str]]:
    for context in ("format", "stand-alone"):
        for width in ("wide", "abbreviated"):
            yield from locale.months[context][width].items()


def currency_words() -> list[str]:
    """Return codes, symbols and the names of money that is in use, each word for itself."""
    used = {
        code
        for uses in get_global("territory_currencies").values()
        for code, _, end, tender in uses
        if end is None and tender
    }
    words: set[str] = set()
    for identifier in LANGUAGES.split():
        locale = Locale.parse(identifier)
        for code in used:
            texts = [code, locale.currency_symbols.get(code, code)]
            if locale.language in _languages_of(code):
                texts += [locale.currencies.get(code, code)]
                texts += locale._data["currency_names_plural"].get(code, {}).values()
            for text in texts:
                words.update(comparable(word) for word in _WORD.findall(text))
    return sorted(word for word in words if len(word) >= SHORTEST_WORD)


def _languages_of(code: str) -> set[str]:
    """Return the languages of the territories that pay with a currency."""
    territories = {
        territory
        for territory, uses in get_global("territory_currencies").items()
        if any(used == code and end is None for used, _, end, _ in uses)
    }
    languages = get_global("territory_languages")
    return {
        language.split("_")[0]
        for territory in territories
        for language, facts in languages.get(territory, {}).items()
        if facts["population_percent"] >= 10
    }


def tables() -> Tables:
    """Return both tables."""
    return {"months": dict(sorted(month_names().items())), "currencies": currency_words()}
