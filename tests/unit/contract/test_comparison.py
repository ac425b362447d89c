"""The comparison of documents finds what it is for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.comparison import differences_between
from tests.support.contract import reference


def secret(document: dict[str, Any]) -> dict[str, Any]:
    return document["components"]["schemas"]["Secret"]["properties"]  # type: ignore[no-any-return]


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "Secret.name: is not served": lambda document: secret(document).pop("name"),
    "Secret.extra: is not in the reference": lambda document: secret(document).update(extra={}),
    "Secret.name: is never null": lambda document: secret(document)["name"].pop("nullable"),
    "Secret.secretId: pattern is None, not ^las:secret:[a-f0-9]{32}$": lambda document: secret(document)[
        "secretId"
    ].pop("pattern"),
    "Secret.createdBy: is optional": lambda document: document["components"]["schemas"]["Secret"][
        "required"
    ].remove("createdBy"),
    "Secret: is open": lambda document: document["components"]["schemas"]["Secret"].pop(
        "additionalProperties"
    ),
    "PatchSecretId: minProperties is None, not 1": lambda document: document["components"]["schemas"][
        "PatchSecretId"
    ].pop("minProperties"),
    "Training.status: is one of ['failed'], not of": lambda document: document["components"]["schemas"][
        "Training"
    ]["properties"]["status"].update(enum=["failed"]),
    "GET /secrets: is not served": lambda document: document["paths"]["/secrets"].pop("get"),
    "GET /secrets: query parameter nextToken is not served": lambda document: document["paths"]["/secrets"][
        "get"
    ].update(parameters=[{"in": "query", "name": "maxResults"}]),
    "POST /secrets body: is not served": lambda document: document["paths"]["/secrets"]["post"].pop(
        "requestBody"
    ),
}


def test_a_document_is_like_itself() -> None:
    assert list(differences_between(reference(), copy.deepcopy(reference()))) == []


@pytest.mark.parametrize("expected", CHANGES)
def test_what_is_changed_is_found(expected: str) -> None:
    changed = copy.deepcopy(dict(reference()))
    CHANGES[expected](changed)
    found = list(differences_between(reference(), changed))
    assert [one for one in found if one.startswith(expected)], found
