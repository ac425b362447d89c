"""The OpenAPI document: paths and parameters as Litestar finds them, schemas as msgspec reads and writes.


What a decoder of msgspec refuses, its JSON schema refuses too: nothing is described twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, TypeAlias, Union, get_args, get_origin

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import OpenAPI
from litestar.types import Method

from pagemill.api.http.idempotency import HEADER as IDEMPOTENCY_KEY
from pagemill.api.http.idempotency import KEY_PATTERN
from pagemill.api.openapi.described_members import CHECKED, REFERENCE, describe_members
from pagemill.content_types import CONTENT_TYPES

Json: TypeAlias = dict[str, Any]
Operations: TypeAlias = dict[str, HTTPRouteHandler]

ERROR: Json = {
    "type": "object",
    "properties": {"message": {"type": "string"}, "detail": {"type": "string"}},
    "required": ["message"],
}
ERRORS = {
    400: "The request cannot be fulfilled as sent; the message names the member",
    403: "No, a bad, or an expired token, or no permission",
    404: "The caller's organization has no such resource",
    413: "The body is too large",
    415: "The body is not JSON",
    416: "The range lies outside the file",
    429: "A limit of the plan is reached, or too many requests came at once",
    500: "An error that nobody foresaw; requestId tells which",
    503: "A part of the platform is away or busy: repeat the request after Retry-After seconds",
}
BINARY: Json = {"type": "string", "format": "binary"}
QUERY: Mapping[str, Json] = {
    "maxResults": {"type": "string", "pattern": "^0*[1-9][0-9]*$", "maxLength": 9},
    "nextToken": {"type": "string", "maxLength": 512},
}
"""What all lists take."""
# Members of Litestar's document that say nothing.
NOISE = ("deprecated", "allowEmptyValue", "allowReserved", "summary")

_PARAMETER = re.compile(r"\{(\w+)\}")
_CAPITAL = re.compile(r"(?<=[a-z])([A-Z])")


@dataclass
class ApiDescription(OpenAPIConfig):
    """Litestar's configuration, whose document is completed before it is served.

    A handler may say of itself: ``binary_body``, ``binary_answer``, and ``empty_patch`` when it takes ``{}``.
    """

    operations: Operations = field(default_factory=dict)
    """Which handler has which operation id."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.operation_id_creator = self._operation_id
        self.use_handler_docstrings = True

    def _operation_id(self, handler: HTTPRouteHandler, _method: Method, _path: Sequence[object]) -> str:
        name = camel(handler.handler_name)
        count = sum(known.partition(" ")[0] == name for known in self.operations)
        identifier = f"{name} {count}" if count else name
        self.operations[identifier] = handler
        return identifier

    def to_openapi_schema(self) -> OpenAPI:
        self.operations.clear()
        plain = super().to_openapi_schema()
        members = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
        return _CompletedOpenAPI(**members, complete=lambda document: complete(document, self.operations))


@dataclass
class _CompletedOpenAPI(OpenAPI):
    complete: Callable[[Json], Json] = dict

    @property
    def _exclude_fields(self) -> set[str]:
        return {"complete"}

    def to_schema(self) -> Json:
        return self.complete(super().to_schema())


def camel(name: str) -> str:
    """A name of ours as the API writes it."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def complete(document: Json, operations: Operations) -> Json:
    """The document with the API's names, msgspec's schemas, and all that is answered."""
    bodies = {name: _body_type(handler) for name, handler in operations.items()}
    answers = {name: _answer_type(handler) for name, handler in operations.items()}
    types = [one for one in (*bodies.values(), *answers.values(), *CHECKED) if one is not None]
    schemas, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    found = iter(schemas)
    body_schemas = {name: next(found) for name, one in bodies.items() if one is not None}
    answer_schemas = {name: next(found) for name, one in answers.items() if one is not None}
    paths: Json = {}
    for path, item in _documented(document["paths"]):
        paths[_PARAMETER.sub(lambda match: f"{{{camel(match[1])}}}", path)] = {
            method: _operation(
                method, operation, operations[operation["operationId"]], body_schemas, answer_schemas
            )
            for method, operation in item.items()
        }
    _name_operations(paths)
    describe_members(components)
    document["paths"] = dict(sorted(paths.items()))
    document["components"]["schemas"] = dict(sorted({**components, "Error": ERROR}.items()))
    return document


def _documented(paths: Json) -> Iterator[tuple[str, Json]]:
    """One path of each handler, but the ones that differ in more than an organization before an id."""
    shortest: dict[str, int] = {}
    for path, item in paths.items():
        for operation in item.values():
            name = operation["operationId"].partition(" ")[0]
            shortest[name] = min(shortest.get(name, 99), path.count("{"))
    for path, item in paths.items():
        kept = {
            method: operation
            for method, operation in item.items()
            if path.count("{") == shortest[operation["operationId"].partition(" ")[0]]
        }
        if kept:
            yield path, kept


def _name_operations(paths: Json) -> None:
    """A number behind the name only where two paths have the same handler; a summary in words."""
    names: set[str] = set()
    for item in paths.values():
        for operation in item.values():
            name = operation["operationId"].partition(" ")[0]
            operation["operationId"] = f"{name}{len(names)}" if name in names else name
            operation["summary"] = _CAPITAL.sub(lambda match: f" {match[1].lower()}", name).capitalize()
            names.add(name)


def _body_type(handler: HTTPRouteHandler) -> Any:
    return None if handler.parsed_data_field is None else handler.parsed_data_field.annotation


def _answer_type(handler: HTTPRouteHandler) -> Any:
    """What a handler returns as JSON, or None; ready-made responses beside it are errors."""
    annotation = handler.parsed_return_field.annotation
    candidates = get_args(annotation) if _is_union(annotation) else (annotation,)
    kinds = [one for one in candidates if one is not type(None) and not _is_response(one)]
    return kinds[0] if kinds and kinds[0] is not None else None


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def _is_response(annotation: Any) -> bool:
    origin = get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, Response)


def _operation(method: str, operation: Json, handler: HTTPRouteHandler, bodies: Json, answers: Json) -> Json:
    identifier = operation["operationId"]
    parameters = [_parameter(one) for one in operation.get("parameters", [])]
    if method == "post" and not handler.opt.get("public"):
        parameters.append(_IDEMPOTENCY_KEY)
    described = {
        **{name: value for name, value in operation.items() if name not in NOISE},
        "parameters": parameters,
        "responses": _responses(method, handler, answers.get(identifier)),
    }
    if identifier in bodies:
        schema = dict(bodies[identifier])
        if method == "patch" and not handler.opt.get("empty_patch"):
            schema["minProperties"] = 1
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if handler.opt.get("binary_body"):
        described["requestBody"] = {"required": True, "content": {"*/*": {"schema": BINARY}}}
    return described


_IDEMPOTENCY_KEY: Json = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "description": "The same request with the same key gets the first answer again, within 24 hours",
    "schema": {"type": "string", "pattern": KEY_PATTERN},
}


def _parameter(parameter: Json) -> Json:
    """Without null, which no query can say, and in the API's case."""
    if parameter["name"] in QUERY:
        return {
            "name": parameter["name"],
            "in": "query",
            "required": False,
            "schema": QUERY[parameter["name"]],
        }
    schema = parameter["schema"]
    if None in schema.get("enum", ()):
        schema = {"type": "string", "enum": [one for one in schema["enum"] if one is not None]}
    options = [one for one in schema.get("oneOf", ()) if one != {"type": "null"}]
    if len(options) == 1:
        schema = {**{name: value for name, value in schema.items() if name != "oneOf"}, **options[0]}
    return {
        **{name: value for name, value in parameter.items() if name not in NOISE},
        "name": camel(parameter["name"]),
        "schema": schema,
    }


def _responses(method: str, handler: HTTPRouteHandler, answer: Json | None) -> Json:
    status = str(handler.status_code)
    responses: Json = {status: {"description": "Done"}}
    if handler.opt.get("binary_answer"):
        bytes_of_file = {kind: {"schema": BINARY} for kind in CONTENT_TYPES}
        responses[status]["content"] = bytes_of_file
        responses["206"] = {"description": "The range that was asked for", "content": bytes_of_file}
        responses["304"] = {"description": "The caller has these bytes"}
    elif answer is not None:
        responses[status]["content"] = {"application/json": {"schema": answer}}
    for code in _errors(method, handler):
        responses[str(code)] = {
            "description": ERRORS[code],
            "content": {"application/json": {"schema": {"$ref": REFERENCE.format(name="Error")}}},
        }
        if code == 503:
            responses["503"]["headers"] = {
                "Retry-After": {"schema": {"type": "string", "pattern": "^[0-9]+$"}}
            }
    return responses


def _errors(method: str, handler: HTTPRouteHandler) -> list[int]:
    errors = {400, 403, 404, 429, 500, 503}
    if method in ("post", "patch", "put"):
        errors |= {413, 415}
    if handler.opt.get("public"):
        errors -= {403, 404, 415}
    if handler.opt.get("binary_body"):
        errors.discard(415)
    if handler.opt.get("binary_answer"):
        errors.add(416)
    return sorted(errors)
