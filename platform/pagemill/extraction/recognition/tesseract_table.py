"""Words of the table that Tesseract writes for a page (its ``tsv`` output)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from pagemill.extraction.reading.word_geometry import plain
from pagemill.extraction.recognition.scripts import script_of
from pagemill.extraction.types import Word

COLUMNS = 12
WORD_LEVEL = "5"
DIRECTION_MARKS = dict.fromkeys([0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
SPACE, SPACE_AT_NUMBER = 0.38, 0.1
"""Narrowest space, in heights of letters, of Thai print: gaps between letters have up to 0.35."""
GREEK_MU = {0xB5: 0x3BC}
SARA_AM, SARA_AM_IN_PARTS = "\u0e33", "\u0e4d\u0e32"


class _Cell(NamedTuple):
    """A word with its box in pixels; ``line`` is equal for the words of a line."""

    line: tuple[str, ...]
    left: float
    top: float
    right: float
    bottom: float
    confidence: float
    text: str


def parse_table(table: str, width: int, height: int, *, joined: bool = False) -> list[Word]:
    """Return the words of a page of ``width`` x ``height`` pixels; lines that are no words are left out.

    With ``joined`` words that no space separates are one.
    """
    cells = [cell for line in table.split("\n") if (cell := _cell(line)) is not None]
    words = (_word(cell, width, height) for cell in (_join(cells) if joined else cells))
    return [word for word in words if word.x0 < word.x1 and word.y0 < word.y1]


def _cell(line: str) -> _Cell | None:
    columns = line.split("\t")
    if len(columns) != COLUMNS or columns[0] != WORD_LEVEL:
        return None
    text = _clean(columns[-1])
    try:
        left, top, width, height, confidence = (float(value) for value in columns[6:11])
    except ValueError:
        return None
    if not text or not confidence >= 0:
        return None
    return _Cell(
        tuple(columns[1:5]), left, top, left + width, top + height, min(confidence / 100.0, 1.0), text
    )


def _clean(text: str) -> str:
    clean = "".join(plain(text).translate(DIRECTION_MARKS).split())
    script = script_of(clean)
    # Its Greek data know the sign for a millionth only, which is another character.
    return clean.translate(GREEK_MU) if script is not None and script.name == "Greek" else clean


def _join(cells: Sequence[_Cell]) -> Iterator[_Cell]:
    # Marks above and below make many cells taller than letters: the lower quarter has plain letters.
    heights = sorted(cell.bottom - cell.top for cell in cells)
    letter_height = heights[len(heights) // 4] if heights else 0.0
    for _, line in groupby(cells, key=lambda cell: cell.line):
        word: list[_Cell] = []
        for cell in line:
            if word and _is_apart(word, cell, letter_height):
                yield _united(word)
                word = []
            word.append(cell)
        yield _united(word)


def _is_apart(word: Sequence[_Cell], cell: _Cell, letter_height: float) -> bool:
    gap = cell.left - max(piece.right for piece in word)
    at_number = word[-1].text[-1].isdigit() != cell.text[0].isdigit()
    return gap >= (SPACE_AT_NUMBER if at_number else SPACE) * letter_height


def _united(cells: Sequence[_Cell]) -> _Cell:
    letters = sum(len(cell.text) for cell in cells)
    return _Cell(
        cells[0].line,
        min(cell.left for cell in cells),
        min(cell.top for cell in cells),
        max(cell.right for cell in cells),
        max(cell.bottom for cell in cells),
        sum(cell.confidence * len(cell.text) for cell in cells) / letters,
        "".join(cell.text for cell in cells).replace(SARA_AM_IN_PARTS, SARA_AM),
    )


def _word(cell: _Cell, width: int, height: int) -> Word:
    across = [min(max(value / width, 0.0), 1.0) for value in (cell.left, cell.right)]
    down = [min(max(value / height, 0.0), 1.0) for value in (cell.top, cell.bottom)]
    return Word(cell.text, across[0], down[0], across[1], down[1], cell.confidence)
