"""Parameters of paths, queries and headers, with their descriptions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from pagemill.api.http.idempotency import HEADER as IDEMPOTENCY_KEY
from pagemill.api.http.idempotency import KEY_PATTERN
from pagemill.api.openapi.examples import Example
from pagemill.api.openapi.texts import read_texts

Json: TypeAlias = dict[str, Any]

PAGING: Mapping[str, Json] = {
    "maxResults": {"type": "string", "pattern": "^0*[1-9][0-9]*$", "maxLength": 9},
    "nextToken": {"type": "string", "maxLength": 512},
}
"""Schemas of the parameters that all lists have."""

KEPT = ("name", "in", "required", "schema")
"""Members of Litestar's parameters that are the same in the document."""

_IDEMPOTENCY_KEY: Json = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "description": "A value of your own, 1 to 255 printable ASCII characters. For 24 hours the same request "
    "with the same key gets the first answer again and has no second effect.",
    "schema": {"type": "string", "pattern": KEY_PATTERN},
    "example": "invoice-4711",
}


def camel(name: str) -> str:
    """Return a Python name as the API writes it."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def parameters_of(
    operation_id: str, found: Iterable[Json], example: Example, *, idempotent: bool
) -> list[Json]:
    """Return an operation's parameters from those that Litestar found; ``idempotent``: with a key for it."""
    parameters = [_described(operation_id, _plain(one), example) for one in found]
    return [*parameters, _IDEMPOTENCY_KEY] if idempotent else parameters


def _described(operation_id: str, parameter: Json, example: Example) -> Json:
    name, texts = parameter["name"], read_texts("parameters")
    described = {**parameter, "description": texts.get(operation_id, {}).get(name) or texts.get(name, "")}
    values = {**texts["example"], **(example.path if parameter["in"] == "path" else example.query)}
    if name in values:
        described["example"] = _typed(values[name], parameter["schema"])
    return described


def _typed(value: Any, schema: Json) -> Any:
    """Return a value of a recorded query as the schema has it: numbers, and lists also of one value."""
    if schema.get("type") == "integer":
        return int(value)
    return [value] if schema.get("type") == "array" and not isinstance(value, list) else value


def _plain(parameter: Json) -> Json:
    """Return a parameter by the API's name, without null, which no query can express."""
    if parameter["name"] in PAGING:
        return {**_kept(parameter), "required": False, "schema": PAGING[parameter["name"]]}
    schema = {name: value for name, value in parameter["schema"].items() if name != "description"}
    if None in schema.get("enum", ()):
        schema = {"type": "string", "enum": [one for one in schema["enum"] if one is not None]}
    options = [one for one in schema.get("oneOf", ()) if one != {"type": "null"}]
    if len(options) == 1:
        schema = {**{name: value for name, value in schema.items() if name != "oneOf"}, **options[0]}
    return {**_kept(parameter), "name": camel(parameter["name"]), "schema": schema}


def _kept(parameter: Json) -> Json:
    return {name: parameter[name] for name in KEPT if name in parameter}


_PATH_PARAMETER = re.compile(r"\{(\w+)\}")


def path_of(template: str) -> str:
    """Return a path with its parameters by the API's names."""
    return _PATH_PARAMETER.sub(lambda match: f"{{{camel(match[1])}}}", template)
