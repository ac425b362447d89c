"""Schemas in few words of HTML: ``string, at most 4096 characters, or null``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, TypeAlias

from pagemill.api.openapi.described_members import TIME

Schema: TypeAlias = Mapping[str, Any]


def link_to(reference: str) -> str:
    """Return a link to a named schema on the same page."""
    name = escape(reference.rsplit("/", 1)[-1])
    return f'<a href="#{name}">{name}</a>'


def type_words(schema: Schema) -> str:
    """Return what a schema accepts."""
    if "$ref" in schema:
        return link_to(schema["$ref"])
    for alternatives in ("anyOf", "oneOf"):
        if alternatives in schema:
            return " or ".join(dict.fromkeys(type_words(one) for one in schema[alternatives]))
    if "enum" in schema:
        return " | ".join(f"<code>{escape(_literal(one))}</code>" for one in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(_literal(schema['const']))}</code>"
    return ", ".join([_kind(schema), *_bounds(schema)])


def _kind(schema: Schema) -> str:
    if schema.get("pattern") == TIME:
        return "time"
    kind = schema.get("type", "any value")
    if isinstance(kind, list):
        return " or ".join(escape(str(one)) for one in kind)
    values = schema.get("additionalProperties")
    if kind == "array" and schema.get("items"):
        return f"list of {type_words(schema['items'])}"
    if kind == "object" and isinstance(values, Mapping) and values:
        return f"object with values of {type_words(values)}"
    return escape(str(kind))


def _bounds(schema: Schema) -> Iterator[str]:
    if schema.get("pattern", TIME) != TIME:
        yield f"<code>{escape(schema['pattern'])}</code>"
    for lowest, highest, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " entries"),
    ):
        least, most = schema.get(lowest), schema.get(highest)
        if least is not None and most is not None:
            yield f"{least} to {most}{unit}"
        elif most is not None:
            yield f"at most {most}{unit}"
        elif least is not None:
            yield f"at least {least}{unit}"
    if "default" in schema:
        yield f"default <code>{escape(_literal(schema['default']))}</code>"


def _literal(value: Any) -> str:
    return value if isinstance(value, str) else str(value).lower()
