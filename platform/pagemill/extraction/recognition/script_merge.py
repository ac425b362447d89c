"""Words of two recognisers of the same page united: each has read what it knows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from pagemill.extraction.recognition.scripts import script_of
from pagemill.extraction.types import Word

SURE = 0.9
"""Confidence of the ONNX models in what they know: they read it better than Tesseract."""
LEAST_CONFIDENCE = 0.3
"""Tesseract sees words in rulings, dirt and pictures, with less confidence than in print."""
SAME_PLACE = 0.5
"""Share of a word's box from which on another word stands in the same place."""
MARGIN = 0.15
"""Space around the crop of a word, in heights of the word."""
EDGE_MARKS = "|.,:;'\"‘’“”_-"


def merge_words(latin: Sequence[Word], other: Sequence[Word]) -> list[Word]:
    """Return the words of a page once, of those that the ONNX models and Tesseract have read.

    Words with letters of another script are Tesseract's: the ONNX models only guess them. Numbers and Latin
    words are those of the ONNX models where these were sure.
    """
    kept = [word for word in latin if _is_sure(word)]
    added: list[Word] = []
    for word in other:
        rivals = [rival for rival in kept if _overlap(rival, word) >= SAME_PLACE]
        if word.confidence < LEAST_CONFIDENCE or _is_read(word, kept):
            continue
        kept = [rival for rival in kept if rival not in rivals]
        added.append(word)
    merged = kept + added
    left = [word for word in latin if not _is_sure(word) and _has_letter_or_digit(word.text)]
    return merged + [word for word in left if _covered(word, merged) < 0.2]


def misread_codes(words: Sequence[Word]) -> list[int]:
    """Return the positions of words with digits that may be misread: their line is in another script.

    Words with more letters of the script than other characters are none.
    """
    return [position for position, word in enumerate(words) if _may_be_code(word.text)]


def crop(pixels: NDArray[np.uint8], word: Word) -> NDArray[np.uint8]:
    """Return the pixels of a word and a margin."""
    height, width = pixels.shape[:2]
    margin = MARGIN * (word.y1 - word.y0) * height
    top, bottom = max(0, int(word.y0 * height - margin)), int(np.ceil(word.y1 * height + margin))
    left, right = max(0, int(word.x0 * width - margin)), int(np.ceil(word.x1 * width + margin))
    return np.ascontiguousarray(pixels[top:bottom, left:right])


def corrected(word: Word, text: str, confidence: float) -> Word:
    """Return a word as it reads alone, if that is sure and leaves nothing out of it."""
    text = text.strip()
    plausible = confidence >= SURE and script_of(text) is None and not any(map(str.isspace, text))
    if not plausible or len(text) < len(word.text.strip(EDGE_MARKS)):
        return word
    return msgspec.structs.replace(word, text=text, confidence=min(confidence, 1.0))


def _is_sure(word: Word) -> bool:
    return word.confidence >= SURE and script_of(word.text) is None and _has_letter_or_digit(word.text)


def _is_read(word: Word, kept: Sequence[Word]) -> bool:
    """Tell whether the ONNX models have read a word of Tesseract's, and not only letters that look alike."""
    foreign_word = script_of(word.text) is not None and not _has_digit(word.text)
    return not foreign_word and _covered(word, kept) >= SAME_PLACE


def _may_be_code(text: str) -> bool:
    own = sum(character.isascii() and character.isalnum() for character in text)
    foreign = sum(script_of(character) is not None for character in text)
    return _has_digit(text) and foreign <= own


def _has_digit(text: str) -> bool:
    return any("0" <= character <= "9" for character in text)


def _has_letter_or_digit(text: str) -> bool:
    return any(map(str.isalnum, text))


def _covered(word: Word, others: Sequence[Word]) -> float:
    return sum(_overlap(word, other) for other in others)


def _overlap(word: Word, other: Word) -> float:
    """Return the share of a word's box that another one covers."""
    across = min(word.x1, other.x1) - max(word.x0, other.x0)
    down = min(word.y1, other.y1) - max(word.y0, other.y0)
    area = (word.x1 - word.x0) * (word.y1 - word.y0)
    return across * down / area if across > 0 and down > 0 and area > 0 else 0.0
