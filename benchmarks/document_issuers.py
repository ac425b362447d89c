"""Issuers of the documents of the accuracy benchmark: shops of receipts, stations of contracts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pypdfium2

CALL_SIGN = re.compile(r"\b([KW][A-Z]{2,3})(?:[- ]?(?:TV|FM|AM|DT)\d?)?\b")
WORDS = frozenset(
    (
        *("KEY", "KEYS", "KIDS", "KING", "WALK", "WANT", "WAR", "WAS", "WASH", "WAY", "WEB", "WED", "WEEK"),
        *("WELL", "WEST", "WHAT", "WHEN", "WHO", "WHY", "WIDE", "WILD", "WILL", "WIN", "WIRE", "WITH", "WKS"),
        *("WON", "WORD", "WORK", "WTF"),
    )
)
"""Words in capitals that look like call signs."""


def shop_of(document: Mapping[str, Any], _folder: Path) -> str:
    """Return the labelled company of a receipt, by its letters and digits; its own id where it has none."""
    for item in document["groundTruth"]:
        if item["label"] == "company" and item["value"]:
            return "".join(filter(str.isalnum, item["value"].upper()))
    return str(document["id"])


def station_of(document: Mapping[str, Any], folder: Path) -> str:
    """Return the call sign that a contract's first page has most often; its own id where it has none."""
    with pypdfium2.PdfDocument(folder / document["file"]) as pdf:
        return call_sign_in(pdf[0].get_textpage().get_text_range()) or str(document["id"])


def call_sign_in(text: str) -> str | None:
    """Return the most frequent call sign of a text, of several the first."""
    found = Counter(sign for sign in CALL_SIGN.findall(text) if sign not in WORDS)
    return found.most_common(1)[0][0] if found else None
