"""Files of data bundles keep documents as they were, and open with the usual tools."""

from __future__ import annotations

import io
import math

import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.documents import bundle_files
from pagemill.documents.bundle_files import SCHEMA, decode, encode, from_table, to_table
from pagemill.extraction.types import Example, Page, Word

WORDS = st.builds(
    Word,
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
    *(st.floats(allow_nan=False) for _ in range(5)),
)
PAGES = st.builds(
    Page, st.integers(0, 99), st.floats(0.1, 9), st.sampled_from(["text", "ocr"]), st.lists(WORDS)
)
LABELS = st.lists(st.fixed_dictionaries({"label": st.text(max_size=4), "value": st.none() | st.text()}))
DOCUMENTS = st.lists(
    st.builds(Example, st.uuids().map(str), st.lists(PAGES, min_size=1, max_size=3), LABELS), max_size=4
)


def word(text: str, *, confidence: float = 0.5) -> Word:
    return Word(text, 0.125, 0.25, 0.375, 0.5, confidence)


def round_trip(examples: list[Example]) -> list[Example]:
    return list(from_table(decode(encode(to_table(examples)))))


@given(DOCUMENTS)
def test_documents_are_read_as_they_were_written(examples: list[Example]) -> None:
    assert round_trip(examples) == examples


def test_odd_words() -> None:
    pages = [
        Page(0, 0.7, "ocr", []),
        Page(1, 1.0, "text", [word("e\u0301\u200f"), word("\U0001f9fe\0"), word("\u0645\u0631")]),
        Page(7, 1.0, "ocr", []),
    ]
    examples = [
        Example("a", pages, []),
        Example("b", [Page(0, 1.0, "text", [])], [{"label": "größe", "value": None}]),
    ]
    assert round_trip(examples) == examples


def test_not_a_number_stays_so() -> None:
    (example,) = round_trip([Example("a", [Page(0, 1.0, "ocr", [word("x", confidence=math.nan)])], [])])
    assert math.isnan(example.pages[0].words[0].confidence)


def test_nested_labels_are_json() -> None:
    labels = [{"label": "items", "value": [[{"label": "price", "value": 3.5}]]}]
    examples = [Example("a", [Page(0, 1.0, "text", [])], labels)]
    assert to_table(examples)["labels"].to_pylist() == [
        '[{"label":"items","value":[[{"label":"price","value":3.5}]]}]'
    ]
    assert round_trip(examples) == examples


def test_a_document_without_pages_has_no_row() -> None:
    assert to_table([Example("a", [], [])]).num_rows == 0


def test_pandas_opens_a_file() -> None:
    examples = [
        Example("a", [Page(0, 0.7, "text", [word("Total"), word("9.50")]), Page(1, 0.7, "ocr", [])], []),
        Example("b", [Page(0, 1.4, "ocr", [word("Date")])], [{"label": "date", "value": "2026-01-02"}]),
    ]
    frame = pd.read_parquet(io.BytesIO(encode(to_table(examples))))
    assert list(frame.columns) == SCHEMA.names
    assert frame["document"].tolist() == ["a", "a", "b"]
    assert [list(words) for words in frame["words"]] == [["Total", "9.50"], [], ["Date"]]
    assert [list(box) for box in frame["boxes"][0]] == [[0.125, 0.25, 0.375, 0.5]] * 2
    assert frame["labels"][2] == '[{"label":"date","value":"2026-01-02"}]'


def test_a_table_may_be_a_part_of_another() -> None:
    examples = [Example(name, [Page(0, 1.0, "text", [word(name)])], []) for name in "abc"]
    assert list(from_table(to_table(examples).slice(1, 1))) == examples[1:2]


@pytest.mark.parametrize("content", [b"", b"PAR1", encode(pa.table({"document": ["a"]}))])
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises((pa.ArrowException, KeyError)):
        bundle_files.decode(content)
