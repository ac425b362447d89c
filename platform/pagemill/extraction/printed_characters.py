"""Characters that mean the same in print: digits of all scripts, spaces, dashes, apostrophes, wide forms."""

from __future__ import annotations

import json
import unicodedata
from functools import lru_cache
from importlib import resources

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\u2043"
_APOSTROPHES = "\u2018\u2019\u201b\u02bc\u02b9\u2032\u00b4\u0060\u05f3"
_OTHERS = {
    # The decimal mark and the thousands separator of Arabic script leave no doubt: neither do these.
    "\u066b": "\u00b7",
    "\u066c": "'",
    "\u066a": "%",
    "\u060c": ",",
    "\u3000": " ",
    "\u3001": ",",
}
LAST_CODE = 0x20000
"""Beyond are no digits and no spaces of any script."""
_WIDE = range(0xFF01, 0xFF5F)
_WIDE_TO_ASCII = 0xFEE0


def _table() -> dict[int, str | None]:
    table: dict[int, str | None] = {ord(one): "-" for one in _DASHES}
    table |= {ord(one): "'" for one in _APOSTROPHES}
    table |= {code: chr(code - _WIDE_TO_ASCII) for code in _WIDE}
    table[0xFFE5] = "\u00a5"
    for code in range(0x80, LAST_CODE):
        character = chr(code)
        kind = unicodedata.category(character)
        if kind == "Nd":
            table[code] = str(unicodedata.digit(character))
        elif kind == "Zs":
            table[code] = " "
        elif kind == "Cf":
            # Marks of direction, joiners, soft hyphens: nothing is printed for them.
            table[code] = None
    return table | {ord(key): value for key, value in _OTHERS.items()}


@lru_cache(maxsize=1)
def _plain_characters() -> dict[int, str | None]:
    return _table()


def plain(text: str) -> str:
    """Return ``text`` with ASCII digits, spaces, hyphens and apostrophes for all of their kinds."""
    return text if text.isascii() else text.translate(_plain_characters())


def comparable(name: str) -> str:
    """Return a word without case, dots, apostrophes, and the accents of Latin, Greek and Cyrillic letters."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    kept = (one for one in decomposed if not ("\u0300" <= one <= "\u036f" or one in ".'\u2019"))
    return unicodedata.normalize("NFC", "".join(kept)).replace("\u0131", "i").strip()


@lru_cache(maxsize=1)
def _locale_tables() -> dict[str, dict[str, int] | list[str]]:
    """Return the tables that ``tools.locale_tables`` makes of CLDR."""
    path = resources.files("pagemill.extraction") / "locale_tables.json"
    tables: dict[str, dict[str, int] | list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return tables


@lru_cache(maxsize=1)
def month_numbers() -> dict[str, int]:
    """Return the number of each month by its names and abbreviations in about 80 languages."""
    return dict(_locale_tables()["months"])  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def currency_words() -> frozenset[str]:
    """Return codes, symbols of letters, and words for money, in the form that ``comparable`` gives."""
    return frozenset(_locale_tables()["currencies"])
