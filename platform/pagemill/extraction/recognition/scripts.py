"""Writing systems that are read by Tesseract: their letters, their data and the packages that have these."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Literal, NamedTuple, get_args

ScriptName = Literal["Arabic", "Cyrillic", "Devanagari", "Greek", "Hangul", "Hebrew", "Thai"]


class Script(NamedTuple):
    """A writing system.

    ``name`` is that of Tesseract's data for the script, which read Latin too. ``languages`` are data that do
    instead, together with ``eng``. ``detected_as`` is its name in Tesseract's detection of scripts.
    """

    name: ScriptName
    ranges: tuple[tuple[int, int], ...]
    languages: tuple[str, ...]
    detected_as: str
    package: str
    joined: bool = False
    """Tesseract puts spaces between letters that have none; they are told from real ones by their width."""


SCRIPTS: tuple[Script, ...] = (
    Script(
        "Arabic",
        ((0x600, 0x6FF), (0x750, 0x77F), (0x8A0, 0x8FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC)),
        ("ara", "fas"),
        "Arabic",
        "tesseract-ocr-script-arab",
    ),
    Script(
        "Cyrillic", ((0x400, 0x52F),), ("rus", "ukr", "bul", "srp"), "Cyrillic", "tesseract-ocr-script-cyrl"
    ),
    Script("Devanagari", ((0x900, 0x97F),), ("hin", "mar"), "Devanagari", "tesseract-ocr-script-deva"),
    Script("Greek", ((0x370, 0x3FF), (0x1F00, 0x1FFF)), ("ell",), "Greek", "tesseract-ocr-script-grek"),
    Script(
        "Hangul",
        ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7AF)),
        ("kor",),
        "Korean",
        "tesseract-ocr-script-hang",
    ),
    Script("Hebrew", ((0x590, 0x5FF), (0xFB1D, 0xFB4F)), ("heb",), "Hebrew", "tesseract-ocr-script-hebr"),
    Script("Thai", ((0xE00, 0xE7F),), ("tha",), "Thai", "tesseract-ocr-script-thai", joined=True),
)
BY_NAME: dict[str, Script] = {script.name: script for script in SCRIPTS}
assert set(BY_NAME) == set(get_args(ScriptName))


def script_of(text: str) -> Script | None:
    """Return the script that has most letters of a text, None when it has none of these scripts."""
    found = Counter(script for character in text if (script := _script_of_character(character)) is not None)
    return found.most_common(1)[0][0] if found else None


@cache
def _script_of_character(character: str) -> Script | None:
    code = ord(character)
    for script in SCRIPTS:
        if any(first <= code <= last for first, last in script.ranges):
            return script
    return None
