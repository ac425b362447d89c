"""Queries become thumbnails, and thumbnails have names of their own."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from pagemill.documents.thumbnails.thumbnail import (
    LightPdf,
    PageImage,
    Thumbnail,
    parse_thumbnail,
    thumbnail_content_type,
    thumbnail_name,
    thumbnail_of,
)
from pagemill.errors import BadRequest

NOTHING: dict[str, Any] = dict.fromkeys(("width", "height", "page", "rotation", "density", "quality"))


def parsed(**query: Any) -> Thumbnail | None:
    return parse_thumbnail(**(NOTHING | query))


@pytest.mark.parametrize(
    ("query", "thumbnail"),
    [
        ({}, None),
        ({"width": 100}, PageImage(width=100)),
        ({"height": 7}, PageImage(height=7)),
        ({"page": "3"}, PageImage(page=3)),
        ({"page": "-1"}, PageImage(page=-1)),
        ({"rotation": 90}, PageImage(rotation=90)),
        ({"rotation": 0}, PageImage()),
        ({"density": 300, "width": 5, "height": 6}, PageImage(width=5, height=6, density=300)),
        ({"quality": "low"}, LightPdf()),
        ({"quality": "low", "width": 9}, PageImage(width=9)),
    ],
)
def test_a_query_asks_for_a_thumbnail(query: dict[str, Any], thumbnail: Thumbnail | None) -> None:
    assert parsed(**query) == thumbnail


@pytest.mark.parametrize("page", ["", "one", "1.5", "+1", " 1", "1234567", "--1", "1\n"])
def test_a_page_is_an_integer(page: str) -> None:
    with pytest.raises(BadRequest, match="page: must be an integer"):
        parsed(page=page)


@pytest.mark.parametrize("rotation", [1, 45, 360, -90])
def test_only_quarter_turns_are_taken(rotation: int) -> None:
    with pytest.raises(BadRequest, match="rotation: must be one of 0, 90, 180, 270"):
        parsed(rotation=rotation)


@pytest.mark.parametrize("content_type", ["application/pdf", "image/png"])
def test_only_a_pdf_becomes_a_light_pdf(content_type: str) -> None:
    assert (thumbnail_of(LightPdf(), content_type) is None) == (content_type != "application/pdf")
    assert thumbnail_of(PageImage(width=1), content_type) == PageImage(width=1)
    assert thumbnail_of(None, content_type) is None


def test_different_thumbnails_have_different_names() -> None:
    images: list[Thumbnail] = [
        PageImage(page=page, rotation=rotation, width=width, height=height, density=density)
        for page, rotation, width, height, density in itertools.product(
            (0, 1, -1, 11), (0, 90), (None, 1, 11), (None, 1, 11), (None, 11)
        )
    ]
    names = [thumbnail_name(one) for one in [*images, LightPdf()]]
    assert len(set(names)) == len(names)
    assert all("/" not in name for name in names)


def test_a_name_ends_like_its_type() -> None:
    assert thumbnail_name(LightPdf()).endswith(".pdf")
    assert thumbnail_content_type(LightPdf()) == "application/pdf"
    assert thumbnail_name(PageImage()).endswith(".jpg")
    assert thumbnail_content_type(PageImage()) == "image/jpeg"
