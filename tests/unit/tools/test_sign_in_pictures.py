"""The pictures of docs/sign-in.md are those that the tool draws, of pages that can be shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.sign_in_pictures.__main__ import pictures
from tools.sign_in_pictures.shown import PAGES, html_of

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_each_page_can_be_shown(name: str) -> None:
    html = html_of(name)
    assert html.startswith("<!doctype html>")
    assert "</html>" in html


def test_the_document_shows_all_of_them() -> None:
    shown = re.findall(r"images/sign-in/([-a-z]+\.png)", (DOCS / "sign-in.md").read_text())
    assert sorted(shown) == sorted(pictures())
    assert [name for name in shown if not (DOCS / "images" / "sign-in" / name).exists()] == []
