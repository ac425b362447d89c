"""Samples of a text layer in doubt: what it says, and the pixels that a person sees there. Child's side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pypdfium2.raw as pdfium

from pagemill.extraction.reading.characters import Character
from pagemill.extraction.reading.pdf_fonts import FontOnPage, Run, runs_of
from pagemill.extraction.reading.pdf_paint import Box, render_box
from pagemill.extraction.reading.pdf_text import TextLayer
from pagemill.extraction.reading.shared_pixels import Pixels
from pagemill.extraction.reading.textlayer import is_garbage

SAMPLES_OF_FONT = 8
SHORTEST, LONGEST = 2, 24
SAMPLES_OF_OVERLAY = 8
SHORTEST_OVER_IMAGE = 4
OVERLAY_SCALE = 150 / 72
MOST_OVERLAY_SIDE = 2500
LINE_PIXELS = 48
LONGEST_SAMPLE = 2000
SAMPLE_BYTES = 256 * 1024
LATIN = "A-Za-z\u00aa-\u024f\u1e00-\u1eff\ufb00-\ufb06"
CHINESE_AND_JAPANESE = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"
READABLE = re.compile(f"[{LATIN}{CHINESE_AND_JAPANESE}]")
# Of the height of a line: recognition wants some paper around letters.
MARGIN = 0.15
LARGEST_SCALE = 12.0


class WordSample(NamedTuple):
    """Word of a text layer, and an upright picture of its place."""

    text: str
    pixels: Pixels


def samples_of(page: Any, font: FontOnPage, layer: TextLayer) -> list[WordSample]:
    """Return a few words of a font, of many different characters, those that look wrong among them."""
    wrong = font.doubt.wrong
    suspicious = [run for run in font.runs if not wrong.isdisjoint(run.text)]
    chosen = _varied(suspicious or font.runs)
    found = [WordSample(run.text, _picture(page, layer.characters(run.start, run.end))) for run in chosen]
    return [sample for sample in found if 0 < sample.pixels.size <= SAMPLE_BYTES]


def _varied(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that bring the most characters which those before do not have; digits count more."""
    left = [run for run in runs if _countable(run.text) >= SHORTEST and len(run.text) <= LONGEST]
    left = [run for run in left if _can_be_recognised(run.text)]
    chosen: list[Run] = []
    seen: set[str] = set()
    while left and len(chosen) < SAMPLES_OF_FONT:
        best = max(left, key=lambda run: sum(3 if one.isdigit() else 1 for one in set(run.text) - seen))
        chosen.append(best)
        seen.update(best.text)
        left = [run for run in left if run.text != best.text]
    return chosen


def _can_be_recognised(text: str) -> bool:
    """Return whether recognition knows the letters: those of Latin, Chinese and Japanese."""
    return all(not one.isalpha() or READABLE.match(one) for one in text)


def _countable(text: str) -> int:
    return sum(character.isalnum() or is_garbage(character) for character in text)


def _picture(page: Any, characters: Sequence[Character]) -> Pixels:
    turns = _quarter_turns(characters)
    box = _with_margin(page, characters)
    height = box[2] - box[0] if turns % 2 else box[3] - box[1]
    longest = max(box[2] - box[0], box[3] - box[1], 1e-3)
    scale = min(LINE_PIXELS / max(height, 1e-3), LARGEST_SCALE, LONGEST_SAMPLE / longest)
    pixels = render_box(page, box, scale)[:, :, :3]
    return np.ascontiguousarray(np.rot90(pixels, turns))


def _with_margin(page: Any, characters: Sequence[Character]) -> Box:
    x0, y0 = min(one.x0 for one in characters), min(one.y0 for one in characters)
    x1, y1 = max(one.x1 for one in characters), max(one.y1 for one in characters)
    margin = MARGIN * min(x1 - x0, y1 - y0)
    width, height = pdfium.FPDF_GetPageWidthF(page), pdfium.FPDF_GetPageHeightF(page)
    return (
        max(0.0, x0 - margin),
        max(0.0, y0 - margin),
        min(width, x1 + margin),
        min(height, y1 + margin),
    )


def _quarter_turns(characters: Sequence[Character]) -> int:
    """Return how often the picture has to be turned to the left until its writing runs to the right."""
    (xa, ya), (xb, yb) = characters[0].centre, characters[-1].centre
    if abs(xb - xa) >= abs(yb - ya):
        return 0 if xb >= xa else 2
    return 1 if yb >= ya else 3


def overlay_samples(page: Any, layer: TextLayer) -> list[WordSample]:
    """Return a few words from all over a page whose text lies unseen over or beneath an image."""
    runs = [run for run in runs_of(layer.text) if SHORTEST_OVER_IMAGE <= len(run.text) <= LONGEST]
    runs = [run for run in runs if _can_be_recognised(run.text) and any(one.isalnum() for one in run.text)]
    chosen = runs[:: max(1, len(runs) // SAMPLES_OF_OVERLAY)][:SAMPLES_OF_OVERLAY]
    if not chosen:
        return []
    # Word by word: the parser decodes the image once, but would scale all of it for the whole page.
    longest = max(pdfium.FPDF_GetPageWidthF(page), pdfium.FPDF_GetPageHeightF(page))
    scale = min(OVERLAY_SCALE, MOST_OVERLAY_SIDE / longest)
    samples = []
    for run in chosen:
        own = layer.characters(run.start, run.end)
        crop = render_box(page, _with_margin(page, own), scale)[:, :, :3]
        if 0 < crop.size <= SAMPLE_BYTES:
            samples.append(WordSample(run.text, np.ascontiguousarray(np.rot90(crop, _quarter_turns(own)))))
    return samples
