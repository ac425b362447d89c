"""The OpenAPI document as one page of plain HTML: it needs no script, and nothing from another server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

METHODS = ("get", "post", "patch", "put", "delete")

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 13px/1.4 ui-monospace, monospace }
pre { overflow-x: auto; padding: .7rem; background: #8881 }
summary { cursor: pointer; padding: .3rem 0 } details details { margin-left: 1rem }
b { display: inline-block; min-width: 4.5rem; text-transform: uppercase }
"""


class ReferencePage(OpenAPIRenderPlugin):
    """Operations by their tags, each with its parameters, body and answers; then all schemas."""

    def __init__(self) -> None:
        super().__init__(path="/reference")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return render_reference(openapi_schema).encode()


def render_reference(document: Mapping[str, Any]) -> str:
    """The whole page."""
    title = escape(document["info"]["title"])
    by_tag: defaultdict[str, list[str]] = defaultdict(list)
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                by_tag[(item[method].get("tags") or ["Other"])[0]].append(
                    _operation(method, path, item[method])
                )
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(by_tag[tag])}" for tag in sorted(by_tag))
    schemas = "".join(_schemas(document.get("components", {}).get("schemas", {})))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title} {escape(document['info']['version'])}</h1>"
        '<p>As <a href="openapi.json">JSON</a>, or to try out with '
        '<a href="swagger">Swagger UI</a> (loaded from the internet).</p>'
        f"{sections}<h2>Schemas</h2>{schemas}</html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    summary = operation.get("description") or operation.get("summary") or ""
    parts = [f"<p>{escape(summary)}</p>"] if summary else []
    for parameter in operation.get("parameters", []):
        need = "required" if parameter.get("required") else "optional"
        place = f"{parameter['in']}, {need}"
        parts.append(
            f"<p><code>{escape(parameter['name'])}</code> ({place}) {_type(parameter['schema'])}</p>"
        )
    parts += [f"<p>Body: {_type(schema)}</p>" for schema in _contents(operation.get("requestBody", {}))]
    for status, answer in operation.get("responses", {}).items():
        shown = ", ".join(_type(schema) for schema in _contents(answer))
        parts.append(f"<p>{escape(status)}: {shown or escape(answer.get('description', ''))}</p>")
    return (
        f"<details><summary><b>{method}</b> <code>{escape(path)}</code></summary>{''.join(parts)}</details>"
    )


def _contents(holder: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for content in holder.get("content", {}).values():
        yield content.get("schema", {})


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in one line; a named one is a link."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[-1])
        return f'<a href="#{name}">{name}</a>'
    return f"<code>{escape(msgspec.json.encode(schema).decode())}</code>"


def _schemas(schemas: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        text = msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()
        yield f'<h3 id="{escape(name)}">{escape(name)}</h3><pre>{escape(text)}</pre>'
