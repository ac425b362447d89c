"""A reader of the API document finds words and examples for everything in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from pagemill.api.openapi.texts import read_texts
from tools.api_docs.document import document_text

WITHOUT_ANSWER = ("getFile", "sendHeartbeat")
"""Operations whose answer is a file or empty."""
WITHOUT_REQUEST = ("putFile",)
"""Operations whose body is a file."""

VERBS = (
    *("Claim", "Complete", "Create", "Defer", "Delete", "Download", "Find", "Get", "Invite", "Keep", "List"),
    *("Release", "Remove", "Report", "Start", "Update", "Upload"),
)
LONGEST_SUMMARY = 65


@cache
def document() -> dict[str, Any]:
    return json.loads(document_text())


def operations() -> Iterator[Mapping[str, Any]]:
    for item in document()["paths"].values():
        yield from item.values()


def test_every_summary_is_a_short_request() -> None:
    for operation in operations():
        summary = operation["summary"]
        assert summary.split()[0] in VERBS, operation["operationId"]
        assert len(summary) <= LONGEST_SUMMARY, operation["operationId"]
        assert not summary.endswith("."), operation["operationId"]


def test_every_operation_is_described_for_callers() -> None:
    for operation in operations():
        description = operation["description"]
        assert description.endswith("."), operation["operationId"]
        # What a handler does inside is nothing that a caller sees.
        assert not re.search(r"``|\bRaises\b|\btransaction\b", description), operation["operationId"]


def test_operations_are_named_by_their_whole_path() -> None:
    for text in texts():
        named = re.findall(r"`(?:GET|POST|PUT|PATCH|DELETE) (/[^`?\s]*)", text)
        assert set(named) <= set(document()["paths"]), text


def texts() -> Iterator[str]:
    yield document()["info"]["description"]
    yield from (tag["description"] for tag in document()["tags"])
    yield from (operation["description"] for operation in operations())
    for schema in document()["components"]["schemas"].values():
        yield from (one["description"] for one in schema.get("properties", {}).values())


def test_every_operation_with_a_body_has_an_example_of_it() -> None:
    for operation in operations():
        name = operation["operationId"]
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert "example" in content or name in WITHOUT_REQUEST, name


def test_every_operation_has_an_example_of_its_answer() -> None:
    for operation in operations():
        name = operation["operationId"]
        contents = operation["responses"].get("200", {}).get("content", {}).values()
        assert all("example" in content for content in contents) or name in WITHOUT_ANSWER, name


def test_every_parameter_has_a_description_and_an_example() -> None:
    for operation in operations():
        for parameter in operation["parameters"]:
            name = (operation["operationId"], parameter["name"])
            assert parameter["description"].endswith("."), name
            Draft202012Validator(parameter["schema"]).validate(parameter["example"])


def test_every_answer_has_a_description() -> None:
    for operation in operations():
        for status, answer in operation["responses"].items():
            assert answer["description"].endswith("."), (operation["operationId"], status)


def test_every_schema_and_member_has_a_description() -> None:
    for name, schema in document()["components"]["schemas"].items():
        assert schema["description"].endswith("."), name
        for member, described in schema.get("properties", {}).items():
            assert described["description"].rstrip("`").endswith("."), (name, member)
            assert "``" not in described["description"], (name, member)


def test_every_tag_is_used_and_described() -> None:
    used = {tag for operation in operations() for tag in operation["tags"]}
    described = {tag["name"]: tag["description"] for tag in document()["tags"]}
    assert set(described) == used
    assert all(text.endswith(".") for text in described.values())


def test_texts_are_about_what_there_is() -> None:
    schemas = document()["components"]["schemas"]
    assert set(read_texts("schemas")) <= set(schemas)
    members = {member for schema in schemas.values() for member in schema.get("properties", {})}
    for name, text in read_texts("members").items():
        if isinstance(text, str):
            assert name in members, name
        else:
            assert set(text) <= set(schemas[name]["properties"]), name


def test_texts_of_parameters_are_about_what_there_is() -> None:
    named = {
        operation["operationId"]: {parameter["name"] for parameter in operation["parameters"]}
        for operation in operations()
    }
    everywhere = set().union(*named.values())
    for name, text in read_texts("parameters").items():
        known = everywhere if isinstance(text, str) or name == "example" else named[name]
        assert (set(text) if isinstance(text, dict) else {name}) <= known, name


def test_texts_of_answers_are_about_what_there_is() -> None:
    assert set(read_texts("responses")["results"]) <= {one["operationId"] for one in operations()}
    statuses = {status for one in operations() for status in one["responses"] if status >= "400"}
    assert set(read_texts("responses")["errors"]) == set(read_texts("responses")["messages"]) == statuses
