"""The OpenAPI document: paths from Litestar, schemas from msgspec, and texts and examples of our own.

The schema of a request is made from the type that decodes it, so both refuse the same bodies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, NamedTuple, TypeAlias, Union, get_args, get_origin

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET

from pagemill.api.openapi.described_members import CHECKED, describe_members
from pagemill.api.openapi.described_schemas import describe_schemas
from pagemill.api.openapi.examples import Example, read_examples
from pagemill.api.openapi.operation_texts import operation_texts
from pagemill.api.openapi.parameters import parameters_of, path_of
from pagemill.api.openapi.responses import BINARY, ERROR, responses_of
from pagemill.api.openapi.schema_references import TEMPLATE
from pagemill.api.openapi.texts import read_texts

Json: TypeAlias = dict[str, Any]
Operations: TypeAlias = Mapping[str, HTTPRouteHandler]


class _Schemas(NamedTuple):
    """Schemas of bodies and answers by Litestar's operation id, and the named schemas that they refer to."""

    bodies: Mapping[str, Json]
    forms: Mapping[str, Json]
    answers: Mapping[str, Json]
    components: Json


def complete(document: Json, operations: Operations) -> Json:
    """Complete Litestar's document in place and return it; ``operations``: its handlers by operation id."""
    schemas = _schemas(operations)
    examples = read_examples()
    names = _operation_names(document["paths"])
    paths: Json = {}
    for path, item in _documented(document["paths"]):
        paths[path_of(path)] = {
            method: _operation(
                names[operation["operationId"]],
                method,
                operation,
                operations[operation["operationId"]],
                schemas,
                examples.get(names[operation["operationId"]], Example()),
            )
            for method, operation in item.items()
        }
    schemas.components["Error"] = ERROR
    describe_members(schemas.components)
    describe_schemas(schemas.components)
    document["tags"] = [{"name": name, "description": text} for name, text in read_texts("tags").items()]
    document["paths"] = dict(sorted(paths.items()))
    document["components"]["schemas"] = dict(sorted(schemas.components.items()))
    return document


def _schemas(operations: Operations) -> _Schemas:
    bodies = {name: _body_type(handler) for name, handler in operations.items()}
    forms = {name: handler.opt.get("form") for name, handler in operations.items()}
    answers = {name: _answer_type(handler) for name, handler in operations.items()}
    kinds = (bodies, forms, answers)
    types = [one for kind in kinds for one in kind.values() if one is not None]
    schemas, components = msgspec.json.schema_components([*types, *CHECKED], ref_template=TEMPLATE)
    found = iter(schemas)
    of_bodies, of_forms, of_answers = (
        {name: next(found) for name, one in kind.items() if one is not None} for kind in kinds
    )
    return _Schemas(of_bodies, of_forms, of_answers, components)


def _documented(paths: Json) -> Iterator[tuple[str, Json]]:
    """Yield one path of each handler, without those that only have an organization before an id besides."""
    shortest: dict[str, int] = {}
    for path, item in paths.items():
        for operation in item.values():
            name = _handler_name(operation)
            shortest[name] = min(shortest.get(name, 99), path.count("{"))
    for path, item in paths.items():
        kept = {
            method: operation
            for method, operation in item.items()
            if path.count("{") == shortest[_handler_name(operation)]
        }
        if kept:
            yield path, kept


def _operation_names(paths: Json) -> dict[str, str]:
    """Return the document's operation ids by Litestar's: a number follows for further paths of a handler."""
    names: dict[str, str] = {}
    paths_of_handler: Counter[str] = Counter()
    for _, item in sorted(_documented(paths)):
        for operation in item.values():
            name = _handler_name(operation)
            others = paths_of_handler[name]
            names[operation["operationId"]] = f"{name}{others}" if others else name
            paths_of_handler[name] += 1
    return names


def _handler_name(operation: Json) -> str:
    """Return the name of an operation's handler: the number that follows it tells its paths apart."""
    return str(operation["operationId"]).partition(" ")[0]


def _body_type(handler: HTTPRouteHandler) -> Any:
    return None if handler.parsed_data_field is None else handler.parsed_data_field.annotation


def _answer_type(handler: HTTPRouteHandler) -> Any:
    """Return what a handler returns as JSON, or None; ready-made responses beside it are errors."""
    annotation = handler.parsed_return_field.annotation
    candidates = get_args(annotation) if _is_union(annotation) else (annotation,)
    kinds = [one for one in candidates if one is not type(None) and not _is_response(one)]
    return kinds[0] if kinds and kinds[0] is not None else None


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def _is_response(annotation: Any) -> bool:
    origin = get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, Response)


def _operation(
    operation_id: str,
    method: str,
    found: Json,
    handler: HTTPRouteHandler,
    schemas: _Schemas,
    example: Example,
) -> Json:
    key = found["operationId"]
    public = bool(handler.opt.get("public"))
    texts = operation_texts(found.get("description", ""))
    operation: Json = {
        "operationId": operation_id,
        "tags": found["tags"],
        "summary": texts.summary,
        "description": texts.description,
        "parameters": parameters_of(
            operation_id, found.get("parameters", ()), example, idempotent=method == "post" and not public
        ),
        "responses": responses_of(operation_id, method, handler, schemas.answers.get(key), example),
    }
    if public:
        operation["security"] = [{"clientCredentials": []}, {}]
    if key in schemas.bodies:
        schema = dict(schemas.bodies[key])
        if method == "patch" and not handler.opt.get("empty_patch"):
            schema["minProperties"] = 1
        operation["requestBody"] = _body("application/json", schema, example)
    if key in schemas.forms:
        operation["requestBody"] = _body("application/x-www-form-urlencoded", schemas.forms[key], example)
    if handler.opt.get("binary_body"):
        operation["requestBody"] = _body("*/*", BINARY, Example())
    return operation


def _body(media_type: str, schema: Json, example: Example) -> Json:
    content = (
        {"schema": schema} if example.request is UNSET else {"schema": schema, "example": example.request}
    )
    return {"required": True, "content": {media_type: content}}
