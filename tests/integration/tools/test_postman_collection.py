"""The Postman collection is what the converter makes of the document."""

from __future__ import annotations

import json

import pytest

from tools.api_docs.document import DOCUMENT
from tools.api_docs.postman import COLLECTION, ConverterUnavailable, collection_text


def test_converting_again_gives_the_same_collection() -> None:
    document = DOCUMENT.read_text()
    try:
        collection = collection_text(document)
    except ConverterUnavailable as error:
        pytest.skip(f"the collection cannot be made here: {error}")
    assert collection == COLLECTION.read_text()
    requests = [request for folder in json.loads(collection)["item"] for request in folder["item"]]
    assert len(requests) == sum(len(item) for item in json.loads(document)["paths"].values())
