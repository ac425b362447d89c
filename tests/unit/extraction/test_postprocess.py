"""Extracted fields in the API's two shapes, by strategy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagemill.extraction.postprocess import postprocess
from pagemill.extraction.types import Extracted, Field, Lines

BOX = (0.1, 0.2, 0.3, 0.4)
EXTRACTED: list[Extracted] = [
    Field("total", "8.00", 0.6, "8,00", 0, BOX),
    Field("total", "9.00", 0.9, "9.00", 1, BOX),
    Field("due", None, 0.7),
    Lines(
        "items",
        [
            [Field("name", "Tea", 0.9, "Tea", 0, BOX), Field("price", "4.00", 0.8, "4,00", 0, BOX)],
            [Field("name", "Milk", 0.5, "Milk", 1, BOX)],
        ],
        0,
    ),
]


def test_the_flat_list() -> None:
    assert postprocess(EXTRACTED, {"strategy": "BEST_FIRST"}) == [
        {
            "label": "total",
            "value": "9.00",
            "confidence": 0.9,
            "rawValue": "9.00",
            "page": 1,
            "location": [0.1, 0.2, 0.3, 0.4],
            "source": "model",
        },
        {"label": "due", "value": None, "confidence": 0.7, "source": "model"},
        {
            "label": "items",
            "page": 0,
            "value": [
                [
                    {
                        "label": "name",
                        "value": "Tea",
                        "confidence": 0.9,
                        "rawValue": "Tea",
                        "page": 0,
                        "location": [0.1, 0.2, 0.3, 0.4],
                        "source": "model",
                    },
                    {
                        "label": "price",
                        "value": "4.00",
                        "confidence": 0.8,
                        "rawValue": "4,00",
                        "page": 0,
                        "location": [0.1, 0.2, 0.3, 0.4],
                        "source": "model",
                    },
                ],
                [
                    {
                        "label": "name",
                        "value": "Milk",
                        "confidence": 0.5,
                        "rawValue": "Milk",
                        "page": 1,
                        "location": [0.1, 0.2, 0.3, 0.4],
                        "source": "model",
                    }
                ],
            ],
        },
    ]


def test_the_object_of_candidates() -> None:
    found = postprocess(EXTRACTED, {"strategy": "BEST_FIRST", "outputFormat": "v2"})
    assert isinstance(found, dict)
    assert list(found) == ["total", "due", "items"]
    assert [(one["value"], one["page"]) for one in found["total"]] == [("9.00", 1)]
    assert found["due"] == [{"value": None, "confidence": 0.7, "source": "model"}]
    assert [{name: cell[0]["value"] for name, cell in row.items()} for row in found["items"]] == [
        {"name": "Tea", "price": "4.00"},
        {"name": "Milk"},
    ]
    assert "label" not in found["items"][0]["name"][0]


@pytest.mark.parametrize(
    ("config", "values"),
    [
        ({}, ["b"]),
        ({"strategy": "BEST_FIRST"}, ["b"]),
        ({"strategy": "BEST_N_PAGES", "parameters": {"n": 1}}, ["b"]),
        ({"strategy": "BEST_N_PAGES", "parameters": {"n": 2}}, ["b", "d"]),
        ({"strategy": "BEST_N_PAGES", "parameters": {"n": 100}}, ["b", "d", "a"]),
        ({"strategy": "BEST_N_PAGES", "parameters": {"n": 3, "collapse": True}}, ["b"]),
        ({"strategy": "BEST_N_PAGES", "parameters": {"n": 3, "collapse": False}}, ["b", "d", "a"]),
        ({"strategy": "BEST_N_PAGES"}, ["b"]),
    ],
)
@pytest.mark.parametrize("output_format", ["v1", "v2"])
def test_strategies(config: dict[str, Any], values: list[str], output_format: str) -> None:
    extracted: list[Extracted] = [
        Field("x", "a", 0.2, page=0),
        Field("x", "b", 0.9, page=1),
        Field("x", "c", 0.4, page=2),
        Field("x", "d", 0.5, page=2),
    ]
    found = postprocess(extracted, {**config, "outputFormat": output_format})
    items = found["x"] if isinstance(found, dict) else found
    assert [item["value"] for item in items] == values


def row(name: str, page: int, confidence: float = 0.9) -> list[Field]:
    return [Field("name", name, confidence, page=page), Field("price", "4.00", confidence, page=page)]


PAGES: list[Extracted] = [
    Field("total", "8.00", 0.6, page=0),
    Field("total", "9.00", 0.9, page=2),
    Field("due", "2020-01-01", 0.5, page=1),
    Lines("items", [row("Tea", 0), row("Milk", 2), row("Salt", 2, 0.2)], 0),
]


def shown(found: Any) -> list[tuple[str, Any, int | None]]:
    """Label, value (of rows the first cells), and page of each item."""
    return [
        (
            item["label"],
            [cells[0]["value"] for cells in item["value"]]
            if isinstance(item["value"], list)
            else item["value"],
            item.get("page"),
        )
        for item in found
    ]


@pytest.mark.parametrize(
    ("n", "collapse", "items"),
    [
        (1, False, [("total", "9.00", 2), ("due", None, None), ("items", ["Milk", "Salt"], 2)]),
        (1, True, [("total", "9.00", 2), ("due", None, None), ("items", ["Milk", "Salt"], 2)]),
        (
            2,
            False,
            [
                ("total", "9.00", 2),
                ("total", "8.00", 0),
                ("due", None, None),
                ("items", ["Tea"], 0),
                ("items", ["Milk", "Salt"], 2),
            ],
        ),
        (2, True, [("total", "9.00", 2), ("due", None, None), ("items", ["Tea", "Milk", "Salt"], 0)]),
        (9, True, [("total", "9.00", 2), ("due", "2020-01-01", 1), ("items", ["Tea", "Milk", "Salt"], 0)]),
    ],
)
def test_the_best_pages_are_those_of_the_document_for_fields_and_for_lines(
    n: int, collapse: bool, items: list[tuple[str, Any, int | None]]
) -> None:
    config = {"strategy": "BEST_N_PAGES", "parameters": {"n": n, "collapse": collapse}}
    assert shown(postprocess(PAGES, config)) == items
    nested = postprocess(PAGES, config | {"outputFormat": "v2"})
    assert isinstance(nested, dict)
    assert [one["value"] for one in nested["total"]] == [
        value for label, value, _ in items if label == "total"
    ]
    names = [name for label, value, _ in items if label == "items" for name in value]
    assert [one["name"][0]["value"] for one in nested["items"]] == names


def test_a_value_on_a_page_that_is_not_kept_makes_nothing_unsure() -> None:
    config = {"strategy": "BEST_N_PAGES", "parameters": {"n": 1}}
    (due,) = [item for item in postprocess(PAGES, config) if item["label"] == "due"]  # type: ignore[index]
    assert due == {"label": "due", "value": None, "confidence": 0.5, "source": "model"}  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    ("config", "values"),
    [
        ({"strategy": "BEST_FIRST"}, ["b", "a", "c"]),
        ({"strategy": "BEST_N_PAGES", "parameters": {"n": 2}}, ["b", "a", "c", "b"]),
        ({"strategy": "BEST_N_PAGES", "parameters": {"n": 2, "collapse": True}}, ["b", "a", "c"]),
        ({"strategy": "BEST_N_PAGES", "parameters": {"n": 1}}, ["b", "a"]),
    ],
)
def test_fields_with_several_values_keep_them_all(config: dict[str, Any], values: list[str]) -> None:
    extracted: list[Extracted] = [
        Field("x", "a", 0.7, page=0, several=True),
        Field("x", "b", 0.9, page=0, several=True),
        Field("x", "c", 0.6, page=1, several=True),
        Field("x", "b", 0.5, page=1, several=True),
    ]
    found = postprocess(extracted, config)
    assert isinstance(found, list)
    assert [item["value"] for item in found] == values


def test_a_value_is_better_than_nothing_and_an_earlier_page_better_than_a_later_one() -> None:
    extracted: list[Extracted] = [
        Field("x", None, 1.0),
        Field("x", "later", 0.5, page=4),
        Field("x", "earlier", 0.5, page=2),
    ]
    assert postprocess(extracted, {})[0]["value"] == "earlier"  # type: ignore[index]


def test_values_are_bounded() -> None:
    extracted: list[Extracted] = [
        Field("long", "a" * 5000, 1.7, "b" * 5000, 0, (-0.5, 0.0, 1.5, 1.0)),
        Field("empty", "", -0.5, ""),
    ]
    long, empty = postprocess(extracted, {})
    assert (len(long["value"]), len(long["rawValue"])) == (1024, 1024)  # type: ignore[index]
    assert long["location"] == [0.0, 0.0, 1.0, 1.0]  # type: ignore[index]
    assert long["confidence"] == 1.0  # type: ignore[index]
    assert empty == {"label": "empty", "value": None, "confidence": 0.0, "source": "model"}


def test_lines_without_rows() -> None:
    assert postprocess([Lines("items", [])], {}) == [{"label": "items", "value": []}]
    assert postprocess([Lines("items", [])], {"outputFormat": "v2"}) == {"items": []}
    assert postprocess([], {}) == []


fields = st.builds(
    Field,
    label=st.sampled_from(["a", "b"]),
    value=st.none() | st.text(max_size=5),
    confidence=st.floats(0, 1),
    page=st.none() | st.integers(0, 3),
)


@settings(deadline=None)
@given(st.lists(fields, max_size=8), st.integers(1, 100))
def test_candidates_of_a_label_come_from_different_pages_best_first(extracted: list[Field], n: int) -> None:
    found = postprocess(extracted, {"strategy": "BEST_N_PAGES", "parameters": {"n": n}, "outputFormat": "v2"})
    assert isinstance(found, dict)
    assert set(found) == {field.label for field in extracted}
    for candidates in found.values():
        assert 1 <= len(candidates) <= n
        pages = [candidate.get("page") for candidate in candidates]
        assert len(set(pages)) == len(pages)
        sure = [candidate["confidence"] for candidate in candidates if candidate["value"]]
        assert sure == sorted(sure, reverse=True)
