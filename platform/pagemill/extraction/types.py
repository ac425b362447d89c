"""Types of extraction: words on pages, and fields.

Boxes are (x0, y0, x1, y1) in 0..1 of the page as shown (after rotation), origin at the top left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from pagemill.rotation import Rotation

READER_VERSION = "3"
"""Part of the key under which a page's words are cached; raise it when reading changes its output."""

ImageQuality = Literal["LOW", "HIGH"]


class Word(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One word (no spaces inside) with its box in 0..1 of the page, and the reader's confidence 0..1."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    confidence: float = 1.0


class Page(msgspec.Struct, frozen=True):
    """The words of one page in reading order. ``aspect`` is width / height of the page as shown."""

    index: int
    aspect: float
    source: Literal["text", "ocr"]
    words: list[Word]


class ReadOptions(msgspec.Struct, frozen=True):
    """Options that change a page's words.

    ``rotation`` turns it first (degrees clockwise), then ``auto_rotate`` turns it upright; ``image_quality``
    chooses the resolution.
    """

    rotation: Rotation = 0
    auto_rotate: bool = False
    image_quality: ImageQuality = "LOW"


class Reading(msgspec.Struct, frozen=True):
    """The pages that were asked for, and the number of pages of the document."""

    number_of_pages: int
    pages: list[Page]


class Field(msgspec.Struct, frozen=True):
    """One field found: ``value`` normalised by type (None: not found), ``raw_value`` as printed."""

    label: str
    value: str | None
    confidence: float
    raw_value: str | None = None
    page: int | None = None
    location: tuple[float, float, float, float] | None = None
    several: bool = False
    """Whether it is one of any number of values (``isMultivalue``)."""


class Lines(msgspec.Struct, frozen=True):
    """A ``lines`` field: rows of column fields, in reading order. ``page`` is that of the first row."""

    label: str
    rows: list[list[Field]]
    page: int | None = None


Extracted = Field | Lines

FieldDefinition: TypeAlias = Mapping[str, object]
"""Definition of a scalar field or a column: {type, enum?, format?, ...}."""
FieldDefinitions: TypeAlias = Mapping[str, FieldDefinition]
"""Scalar fields by label, or columns by name."""
LineItemDefinitions: TypeAlias = Mapping[str, FieldDefinitions]
"""Columns of each ``lines`` field, by its label."""

FieldConfig = dict[str, dict[str, object]]
"""The API's fieldConfig as stored: label -> {type, enum?, format?, fields?, ...}."""

GroundTruth = list[dict[str, object]]
"""The API's groundTruth as stored: [{label, value, pages?, confidence?}], value nested for lines."""


class Example(msgspec.Struct, frozen=True):
    """A labelled document that training learns from."""

    document_id: str
    pages: list[Page]
    ground_truth: GroundTruth
