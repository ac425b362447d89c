"""Words of form fields: one word where each character has a cell of its own, and what no font could draw."""

from __future__ import annotations

from collections.abc import Sequence

from pagemill.extraction.reading.pdf_annotations import FieldValue
from pagemill.extraction.types import Word


def with_field_values(words: Sequence[Word], values: Sequence[FieldValue]) -> list[Word]:
    """Return the words of a page after those in form fields have been mended by the values of the fields."""
    result = list(words)
    for value in values:
        inside = [word for word in result if _holds(value, word)]
        mended = _mended(value, inside)
        if mended is not None:
            result = [word for word in result if not _holds(value, word)] + mended
    return result


def _mended(value: FieldValue, inside: Sequence[Word]) -> list[Word] | None:
    """Return the words to use instead of those in the field; None if these are right."""
    expected = value.text.split()
    if not expected:
        return None
    drawn = "".join(word.text for word in inside)
    if value.comb and len(inside) > len(expected):
        return _in_places(expected, value)
    lost = not value.scrolls and len(drawn) < len("".join(expected)) and _is_part(drawn, "".join(expected))
    return _in_places(expected, value) if lost else None


def _is_part(some: str, whole: str) -> bool:
    """Return whether all characters of ``some`` come in ``whole`` in the same order."""
    left = iter(whole)
    return all(character in left for character in some)


def _in_places(texts: Sequence[str], value: FieldValue) -> list[Word]:
    """Return words that share the box of a field by their lengths, along its longer side."""
    x0, y0, x1, y1 = value.box
    length = len(" ".join(texts))
    upright = x1 - x0 < y1 - y0
    words, position = [], 0
    for text in texts:
        start, end = position / length, (position + len(text)) / length
        position += len(text) + 1
        if upright:
            words.append(Word(text, x0, y0 + start * (y1 - y0), x1, y0 + end * (y1 - y0)))
        else:
            words.append(Word(text, x0 + start * (x1 - x0), y0, x0 + end * (x1 - x0), y1))
    return words


def _holds(value: FieldValue, word: Word) -> bool:
    x0, y0, x1, y1 = value.box
    return x0 <= (word.x0 + word.x1) / 2 <= x1 and y0 <= (word.y0 + word.y1) / 2 <= y1
