"""The script of a page, chosen among those that are installed by reading a sample with each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pagemill.extraction.recognition.scripts import BY_NAME, SCRIPTS, Script, ScriptName, script_of
from pagemill.extraction.types import Word

SURE = 0.78
"""Mean confidence of a sample that needs no other evidence.

Data of the right script read clean print with 0.86 and more, those of a wrong one mostly with less than 0.6
(Hebrew read as Thai: 0.73).
"""
PLAUSIBLE = 0.6
"""Mean confidence of a sample whose script Tesseract's detection names too."""
SHARE_OF_LETTERS = 0.2
"""Smallest share of a sample's letters that belong to the script: all data read Latin well."""


SURELY_TURNED = 2.0
"""Tesseract's confidence in the orientation of a page, from which on one that is turned is left as it is."""


class Detection(NamedTuple):
    """Result of Tesseract's detection of a page; ``script`` is None when it is none of SCRIPTS."""

    script: Script | None = None
    turned: bool = False


def parse_detection(report: str) -> Detection:
    """Return what a report of the detection says."""
    values = {name: value.strip() for name, _, value in (line.partition(":") for line in report.split("\n"))}
    script = next((one for one in SCRIPTS if one.detected_as == values.get("Script")), None)
    try:
        sure = float(values.get("Orientation confidence", "0"))
    except ValueError:
        sure = 0.0
    return Detection(script, values.get("Rotate", "0") != "0" and sure >= SURELY_TURNED)


def choose_script(samples: Mapping[ScriptName, Sequence[Word]], detected: Script | None) -> ScriptName | None:
    """Return the script whose data read a sample best, None when all of them read it badly.

    ``samples`` has the words that the data of each script make of the same lines.
    """
    best = max(samples, key=lambda name: confidence(samples[name]), default=None)
    if best is None or not is_written_in(samples[best], best):
        return None
    needed = PLAUSIBLE if detected is BY_NAME[best] else SURE
    return best if confidence(samples[best]) >= needed else None


def confidence(words: Sequence[Word]) -> float:
    """Return the mean confidence of the characters of some words, 0 without any."""
    characters = sum(len(word.text) for word in words)
    return sum(word.confidence * len(word.text) for word in words) / max(1, characters)


def is_written_in(words: Sequence[Word], name: ScriptName) -> bool:
    """Tell whether a good part of the letters belongs to a script."""
    letters = [character for word in words for character in word.text if character.isalpha()]
    own = sum((script := script_of(letter)) is not None and script.name == name for letter in letters)
    return own > 0 and own >= SHARE_OF_LETTERS * len(letters)
