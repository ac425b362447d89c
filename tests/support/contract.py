"""The reference contract as a judge of answers.

``violations("GET", "/v1/datasets/las:dataset:…", 200, {...})`` says what is wrong with an answer; where the
reference itself is wrong, ``tests/contract/differences.toml`` corrects it, with the reason.
"""

from __future__ import annotations

import copy
import fnmatch
import functools
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

DIRECTORY = Path(__file__).parents[1] / "contract"
BASE_PATH = "/v1"
ERROR_STATUSES = frozenset({400, 403, 404, 405, 413, 415, 429, 500, 503})
SCHEMAS = "#/components/schemas/"
# An id may carry its organization before a slash that is not encoded.
COMPOSITE = frozenset({"datasetId", "modelId", "planId", "deploymentEnvironmentId"})


@functools.cache
def reference() -> Mapping[str, Any]:
    """The reference document with its corrections."""
    document = json.loads((DIRECTORY / "reference.json").read_text())
    for correction in differences().get("correction", []):
        _put(document["components"]["schemas"], correction["path"], json.loads(correction["value"]))
    return document  # type: ignore[no-any-return]


@functools.cache
def differences() -> Mapping[str, Any]:
    """What is written down about the reference."""
    return tomllib.loads((DIRECTORY / "differences.toml").read_text())


def _put(schemas: dict[str, Any], pointer: str, value: Any) -> None:
    *parents, last = pointer.removeprefix("/").split("/")
    place: Any = schemas
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value


def violations(method: str, path: str, status: int, body: Any) -> list[str]:
    """What is wrong with an answer, one line each.

    ``path`` is that of the request, with or without host, ``/v1`` and query. ``body`` is the decoded JSON;
    None or empty bytes for an answer without one; other bytes and text are decoded.
    """
    where = f"{method.upper()} {path} {status}"
    try:
        decoded = json.loads(body) if isinstance(body, (bytes, str)) and body else body
    except ValueError:
        return [f"{where}: the body is not JSON"]
    if status >= 400:
        return [f"{where}: {text}" for text in _error_violations(status, decoded)]
    template = operation_path(method, path)
    if template is None and _is_beyond(method, path):
        return []
    if template is None:
        return [f"{where}: the reference has no such operation"]
    answers = reference()["paths"][template][method.lower()]["responses"]
    if template.endswith("/heartbeats"):
        return [] if status == 204 and decoded in (None, b"", "") else [f"{where}: must be 204 and empty"]
    if str(status) not in answers:
        return [f"{where}: success is {' or '.join(answers)}"]
    schema = answers[str(status)]["content"]["application/json"]["schema"]
    return [f"{where}: {text}" for text in schema_violations(schema, decoded)]


def _error_violations(status: int, body: Any) -> Iterator[str]:
    if status not in ERROR_STATUSES:
        yield f"clients expect one of {sorted(ERROR_STATUSES)}"
    if not isinstance(body, dict) or not isinstance(body.get("message"), str) or not body["message"]:
        yield "an error is an object with a message"


def schema_violations(schema: Mapping[str, Any], value: Any) -> list[str]:
    """What keeps a value from following a schema of the reference."""
    return [_line(error) for error in _validator(json.dumps(schema)).iter_errors(value)]


def _line(error: ValidationError) -> str:
    place = "/".join(str(step) for step in error.absolute_path) or "the body"
    return f"{place}: {error.message[:500]}"


@functools.cache
def _validator(schema: str) -> Draft202012Validator:
    root = to_json_schema(json.loads(schema))
    schemas = {name: to_json_schema(one) for name, one in reference()["components"]["schemas"].items()}
    return Draft202012Validator({**root, "components": {"schemas": schemas}})


def to_json_schema(schema: Any) -> Any:
    """A schema of OpenAPI 3.0, which says ``nullable``, as one of JSON Schema 2020-12."""
    if isinstance(schema, list):
        return [to_json_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _member(name, value) for name, value in schema.items() if name != "nullable"}
    if not schema.get("nullable"):
        return plain
    return {"anyOf": [plain, {"type": "null"}]}


def _member(name: str, value: Any) -> Any:
    """One keyword's value; below ``properties`` the names are members, not keywords."""
    if name in ("properties", "patternProperties"):
        return {member: to_json_schema(one) for member, one in value.items()}
    if name in ("enum", "required", "default"):
        return copy.deepcopy(value)
    return to_json_schema(value)


def operation_path(method: str, path: str) -> str | None:
    """The reference's path of a request, or None: ``/datasets/{datasetId}``."""
    wanted = urlsplit(path).path.removeprefix(BASE_PATH).rstrip("/")
    for template, pattern in _patterns():
        if pattern.fullmatch(wanted) and method.lower() in reference()["paths"][template]:
            return template
    return None


def _is_beyond(method: str, path: str) -> bool:
    """Whether it is an operation that is written down as one that the reference does not have."""
    plain = urlsplit(path).path.removeprefix(BASE_PATH).rstrip("/")
    operation = f"{method.upper()} {plain}: is not in the reference"
    return any(fnmatch.fnmatchcase(operation, one["at"]) for one in differences().get("difference", []))


@functools.cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    return [(template, _pattern(template)) for template in reference()["paths"]]


def _pattern(template: str) -> re.Pattern[str]:
    def one(match: re.Match[str]) -> str:
        return r"(?:las:organization:[a-z0-9_-]+/)?[^/]+" if match[1] in COMPOSITE else "[^/]+"

    return re.compile(re.sub(r"\{(\w+)\}", one, template))
