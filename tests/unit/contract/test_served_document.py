"""The served OpenAPI document equals the reference, apart from differences that are listed with reasons."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from pagemill.api.app import create_app
from pagemill.secret_box import new_secret_key
from pagemill.settings import Settings
from tests.support.comparison import differences_between
from tests.support.contract import differences, reference

LISTED = differences()["difference"]


@cache
def served() -> dict[str, Any]:
    settings = Settings(
        database_url="postgresql://unused",
        objects_url="file:///unused",
        token_key="k" * 32,
        secret_keys=new_secret_key("test"),
    )
    return create_app(settings).openapi_schema.to_schema()


@cache
def found() -> list[str]:
    return list(differences_between(reference(), served()))


def covers(at: str, difference: str) -> bool:
    return re.fullmatch(re.escape(at).replace(r"\*", ".*"), difference) is not None


def test_every_difference_is_listed() -> None:
    known = [*LISTED, *differences().get("not_yet", [])]
    assert [one for one in found() if not any(covers(listed["at"], one) for listed in known)] == []


@pytest.mark.parametrize("listed", LISTED, ids=lambda listed: listed["at"])
def test_every_listed_difference_still_exists(listed: dict[str, str]) -> None:
    assert listed["reason"]
    assert any(covers(listed["at"], one) for one in found())


def test_the_document_is_valid_and_named_in_the_style_of_the_api() -> None:
    OpenAPIV31SpecValidator(served()).validate()
    identifiers = [
        operation["operationId"] for item in served()["paths"].values() for operation in item.values()
    ]
    assert len(set(identifiers)) == len(identifiers)
    assert all(re.fullmatch(r"[a-z][A-Za-z]+1?", identifier) for identifier in identifiers)
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", name) for name in served()["components"]["schemas"])
    for path, item in served()["paths"].items():
        assert "_" not in path
        for operation in item.values():
            assert operation["tags"]


def test_every_operation_says_how_it_fails() -> None:
    for path, item in served()["paths"].items():
        for method, operation in item.items():
            statuses = set(operation["responses"])
            public = path.endswith("/token")
            assert {"400", "429", "500", "503"} <= statuses, (method, path)
            assert public or {"403", "404"} <= statuses, (method, path)
            assert public or method not in ("post", "patch") or {"413", "415"} <= statuses, (method, path)
            assert "Retry-After" in operation["responses"]["503"]["headers"]


def test_requests_and_answers_are_closed() -> None:
    open_ones = {
        name
        for name, schema in served()["components"]["schemas"].items()
        if schema.get("additionalProperties") is not False
    }
    # Tokens and their requests are OAuth's; the others are open in the reference.
    assert open_ones == {
        "BestPagesParameters",
        "Error",
        "LinesField",
        "PostHeartbeat",
        "PostTransitionExecution",
        "ScalarField",
        "Token",
        "TokenRequest",
    }
