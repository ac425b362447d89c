"""The served OpenAPI document beside the reference, operation by operation and member by member."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

SCHEMAS = "#/components/schemas/"
BOUNDS = (
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
)
BASE_PATH = "/v1"


@dataclass(slots=True)
class Node:
    """A schema without the spelling of OpenAPI 3.0, 3.1 or msgspec."""

    types: list[str] = field(default_factory=list)
    nullable: bool = False
    enum: list[Any] | None = None
    bounds: dict[str, Any] = field(default_factory=dict)
    members: dict[str, tuple[bool, Any]] | None = None
    """name -> (required, schema)"""
    closed: bool = False
    values: Any = None
    """The schema of a map's values."""
    items: Any = None
    options: list[Any] = field(default_factory=list)
    """Of a union."""
    named: str | None = None
    """The component that this is."""


class Document:
    """One of the two documents."""

    def __init__(self, document: Schema) -> None:
        self.schemas = document["components"]["schemas"]
        self.paths = {path.removeprefix(BASE_PATH): item for path, item in document["paths"].items()}
        # A component without members of its own is no more than "an object".
        self._names = {
            canonical(schema): name for name, schema in self.schemas.items() if "properties" in schema
        }

    def node(self, schema: Schema) -> Node:
        """Follows references; an inline copy of a component counts as that component."""
        schema, named = dict(schema), None
        if "$ref" in schema:
            named = schema.pop("$ref").removeprefix(SCHEMAS)
            schema = {**self.schemas[named], **schema}
        else:
            named = self._names.get(canonical(without_null(schema)))
        node = self._union(schema) or self._plain(schema)
        node.named = named
        return node

    def _union(self, schema: dict[str, Any]) -> Node | None:
        options = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        if not options or "properties" in schema:
            return None
        others = [one for one in options if one != {"type": "null"}]
        nullable = len(others) < len(options) or any(one.get("nullable") for one in (schema, *others))
        if len(others) == 1:
            rest = {name: value for name, value in schema.items() if name not in ("anyOf", "oneOf")}
            node = self.node({**rest, **others[0]})
            node.nullable = node.nullable or nullable
            return node
        return Node(nullable=nullable, options=[without_null(one) for one in others])

    def _plain(self, schema: dict[str, Any]) -> Node:
        node = Node(nullable=bool(schema.get("nullable")))
        enum = [schema["const"]] if "const" in schema else schema.get("enum")
        if enum is not None:
            node.nullable = node.nullable or None in enum
            node.enum = sorted((one for one in enum if one is not None), key=str)
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        if node.enum and not kinds:
            kinds = sorted({_kind(one) for one in node.enum})
        node.types = [kind for kind in kinds if kind != "null"]
        node.nullable = node.nullable or "null" in kinds
        node.bounds = {name: _same_pattern(schema[name]) for name in BOUNDS if name in schema}
        if "properties" in schema:
            required = set(schema.get("required", ()))
            node.members = {name: (name in required, one) for name, one in schema["properties"].items()}
        node.closed = schema.get("additionalProperties") is False
        if isinstance(schema.get("additionalProperties"), Mapping):
            node.values = schema["additionalProperties"] or None
        node.values = next(iter(schema.get("patternProperties", {}).values()), node.values)
        node.items = schema.get("items")
        return node


def canonical(schema: Any) -> str:
    return json.dumps(schema, sort_keys=True)


def without_null(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "nullable"}


def _kind(value: Any) -> str:
    return "integer" if isinstance(value, int) else "string"


def _same_pattern(value: Any) -> Any:
    """Python wants a hyphen in a class escaped, and ``\\Z`` for what JSON Schema calls ``$``."""
    if not isinstance(value, str):
        return value
    return re.sub(r"\\([-/@])", r"\1", value).replace(r"\Z", "$").replace("0-9A-Za-z_-]", "0-9A-Za-z-_]")


class Comparison:
    """``lines`` are the differences, each named by where it is."""

    def __init__(self, reference: Schema, served: Schema) -> None:
        self._reference, self._served = Document(reference), Document(served)
        self._compared: set[tuple[str, str | None]] = set()
        self._answers = False
        self.lines: list[str] = []

    def run(self) -> list[str]:
        for path, item in self._reference.paths.items():
            for method, operation in item.items():
                served = self._served.paths.get(path, {}).get(method)
                if served is None:
                    self._say(f"{method.upper()} {path}", "is not served")
                else:
                    self._operation(f"{method.upper()} {path}", operation, served)
        for path, item in self._served.paths.items():
            for method in item:
                if method not in self._reference.paths.get(path, {}):
                    self._say(f"{method.upper()} {path}", "is not in the reference")
        return self.lines

    def _say(self, where: str, what: str) -> None:
        self.lines.append(f"{where}: {what}")

    def _operation(self, where: str, reference: Schema, served: Schema) -> None:
        wanted, given = (
            {(one["in"], one["name"]) for one in operation.get("parameters", ())}
            for operation in (reference, served)
        )
        for place, name in sorted(wanted - given):
            self._say(where, f"{place} parameter {name} is not served")
        for place, name in sorted(given - wanted):
            self._say(where, f"{place} parameter {name} is not in the reference")
        bodies = [operation.get("requestBody") for operation in (reference, served)]
        self._answers = False
        self._contents(f"{where} body", *bodies)
        self._answers = True
        status = "204" if "204" in reference["responses"] else "200"
        answers = [operation["responses"].get(status) for operation in (reference, served)]
        if status == "200":
            self._contents(f"{where} answer", *answers)
        elif answers[1] is None:
            self._say(where, f"does not answer {status}")

    def _contents(self, where: str, reference: Schema | None, served: Schema | None) -> None:
        wanted, given = (
            ((one or {}).get("content") or {}).get("application/json", {}).get("schema")
            for one in (reference, served)
        )
        if wanted is None or given is None:
            if wanted is not given:
                self._say(where, "is not served" if given is None else "is not in the reference")
            return
        self._schemas(where, wanted, given)

    def _schemas(self, where: str, reference: Schema, served: Schema) -> None:
        wanted, given = self._reference.node(reference), self._served.node(served)
        if wanted.named is not None:
            where = wanted.named
            pair = (wanted.named, given.named or canonical(served))
            if pair in self._compared:
                self._nullable(where, wanted, given)
                return
            self._compared.add(pair)
        self._nodes(where, wanted, given)

    def _nullable(self, where: str, wanted: Node, given: Node) -> None:
        if wanted.nullable != given.nullable:
            never = "is never null" if self._answers else "must not be null"
            self._say(where, never if wanted.nullable else "may be null")

    def _nodes(self, where: str, wanted: Node, given: Node) -> None:
        self._nullable(where, wanted, given)
        if wanted.options or given.options:
            self._options(where, wanted, given)
            return
        if wanted.types != given.types:
            self._say(where, f"is {_words(given.types)}, not {_words(wanted.types)}")
        if wanted.enum != given.enum:
            self._say(where, f"is one of {given.enum}, not of {wanted.enum}")
        for name in sorted(wanted.bounds.keys() | given.bounds.keys()):
            ours, theirs = given.bounds.get(name), wanted.bounds.get(name)
            if ours != theirs:
                self._say(where, f"{name} is {ours}, not {theirs}")
        if wanted.closed != given.closed:
            self._say(where, "is closed" if given.closed else "is open")
        self._members(where, wanted.members or {}, given.members or {})
        for suffix, theirs, ours in (("{}", wanted.values, given.values), ("[]", wanted.items, given.items)):
            self._part(where + suffix, theirs, ours)

    def _part(self, where: str, wanted: Any, given: Any) -> None:
        if wanted and given:
            self._schemas(where, wanted, given)
        elif wanted:
            self._say(where, "is not described")
        elif given:
            self._say(where, "is not described in the reference")

    def _members(
        self, where: str, wanted: Mapping[str, tuple[bool, Any]], given: Mapping[str, tuple[bool, Any]]
    ) -> None:
        for name in sorted(wanted.keys() | given.keys()):
            place = f"{where}.{name}"
            if name not in given:
                self._say(place, "is not served")
            elif name not in wanted:
                self._say(place, "is not in the reference")
            else:
                if wanted[name][0] != given[name][0]:
                    required = "is always there" if self._answers else "is required"
                    self._say(place, required if given[name][0] else "is optional")
                self._schemas(place, wanted[name][1], given[name][1])

    def _options(self, where: str, wanted: Node, given: Node) -> None:
        """Options are compared in their order when there are as many."""
        if len(wanted.options) != len(given.options):
            ours, theirs = len(given.options) or 1, len(wanted.options) or 1
            self._say(where, f"has {ours} forms, not {theirs}")
            return
        for index, (theirs_one, ours_one) in enumerate(zip(wanted.options, given.options, strict=True)):
            self._schemas(f"{where}|{index + 1}", theirs_one, ours_one)


def _words(types: list[str]) -> str:
    return " or ".join(types) or "anything"


def differences_between(reference: Schema, served: Schema) -> Iterator[str]:
    """Each difference once, in order."""
    yield from dict.fromkeys(Comparison(reference, served).run())
