"""The reference page shows all of the document, and works without scripts and other servers."""

from __future__ import annotations

import json
import re
from functools import cache
from html.parser import HTMLParser
from typing import Any

from pagemill.api.openapi.reference_page import render_reference
from tools.api_docs.document import document_text

VOID = {"meta", "br", "hr"}


class Page(HTMLParser):
    """Reads the ids and the links of a page, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open += [] if tag in VOID else [tag]
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name in ("href", "src") and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@cache
def document() -> dict[str, Any]:
    return json.loads(document_text())


@cache
def page() -> str:
    return render_reference(document())


def test_it_is_well_formed_and_its_links_lead_somewhere() -> None:
    parsed = Page(page())
    assert parsed.open == []
    assert len(set(parsed.ids)) == len(parsed.ids)
    inside = {link.removeprefix("#") for link in parsed.links if link.startswith("#")}
    assert inside <= set(parsed.ids)


def test_it_needs_nothing_else() -> None:
    assert "<script" not in page()
    assert "@import" not in page()
    assert "url(" not in page()
    assert [link for link in Page(page()).links if not link.startswith(("#", "/schema"))] == []


def test_it_shows_every_operation_and_schema() -> None:
    ids = set(Page(page()).ids)
    for item in document()["paths"].values():
        for operation in item.values():
            assert operation["operationId"] in ids
    assert set(document()["components"]["schemas"]) <= ids


def test_it_has_an_entry_in_the_contents_for_every_tag() -> None:
    contents = re.findall(r"<nav>.*</nav>", page(), re.DOTALL)[0]
    for tag in document()["tags"]:
        assert f">{tag['name']}</a>" in contents


def test_texts_are_escaped() -> None:
    hostile = "<script>alert(1)</script>"
    small = {
        "info": {"title": hostile, "version": "1", "description": hostile},
        "tags": [{"name": "Tag", "description": hostile}],
        "paths": {
            f"/{hostile}": {
                "get": {
                    "operationId": "get",
                    "tags": ["Tag"],
                    "summary": hostile,
                    "description": hostile,
                    "parameters": [
                        {
                            "name": hostile,
                            "in": "query",
                            "schema": {"enum": [hostile]},
                            "description": hostile,
                        }
                    ],
                    "responses": {
                        "200": {
                            "description": hostile,
                            "content": {"a/b": {"schema": {"type": hostile}, "example": hostile}},
                        }
                    },
                }
            }
        },
        "components": {"schemas": {"One": {"description": hostile, "properties": {hostile: {}}}}},
    }
    assert "<script" not in render_reference(small)
