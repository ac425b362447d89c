"""The files in ``docs/api`` are up to date."""

from __future__ import annotations

import json

from tools.api_docs.document import DOCUMENT, document_text
from tools.api_docs.postman import COLLECTION, MADE_FROM, checksum

COMMAND = "run `make api-docs`"


def test_the_document_is_what_the_api_serves() -> None:
    assert DOCUMENT.read_text() == document_text(), COMMAND


def test_the_collection_was_made_from_the_document() -> None:
    collection = json.loads(COLLECTION.read_text())
    variables = {one["key"]: one["value"] for one in collection["variable"]}
    assert variables[MADE_FROM] == checksum(DOCUMENT.read_text()), COMMAND
