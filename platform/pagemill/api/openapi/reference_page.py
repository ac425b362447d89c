"""The OpenAPI document as one page of plain HTML: it needs no script, and nothing from another server."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from litestar.openapi.plugins import OpenAPIRenderPlugin

from pagemill.api.http.requests import ApiRequest
from pagemill.api.openapi.schema_words import link_to, type_words

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

Json: TypeAlias = Mapping[str, Any]

METHODS = ("get", "post", "put", "patch", "delete")
STYLE = "reference_page.css"


class ReferencePage(OpenAPIRenderPlugin):
    """Page of the introduction, the operations by their tags, and the schemas."""

    def __init__(self) -> None:
        super().__init__(path="/reference")
        self._page: bytes | None = None

    @property
    def is_rendered(self) -> bool:
        """Return whether the page is there."""
        return self._page is not None

    def prepare(self, openapi_schema: dict[str, Any]) -> bytes:
        """Return the page, which is rendered once."""
        if self._page is None:
            self._page = render_reference(openapi_schema).encode()
        return self._page

    def render(self, request: ApiRequest, openapi_schema: dict[str, Any]) -> bytes:
        """Return the page."""
        return self.prepare(openapi_schema)


@functools.cache
def page_style() -> str:
    """Return the style sheet, which is part of the page."""
    return files(__package__).joinpath(STYLE).read_text()


def page_policy() -> str:
    """Return the Content-Security-Policy under which the page works: its own style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(page_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def render_reference(document: Json) -> str:
    """Return the page of a document."""
    info, schemas = document["info"], document.get("components", {}).get("schemas", {})
    tags = document.get("tags", [])
    operations = _by_tag(document["paths"])
    sections = "".join(_section(tag["name"], tag["description"], operations[tag["name"]]) for tag in tags)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{page_style()}</style></head><body>"
        f"{_contents(tags)}<main><h1>{escape(info['title'])} API {escape(info['version'])}</h1>"
        '<p class="formats">Also as <a href="/schema/openapi.json">JSON</a>.</p>'
        f"{_markdown(info.get('description', ''))}{sections}"
        f'<section><h2 id="schemas">Schemas</h2>{"".join(_schemas(schemas))}</section></main></body></html>'
    )


def _by_tag(paths: Json) -> Mapping[str, list[tuple[str, str, Json]]]:
    """Return (method, path, operation) by tag, in the order of paths."""
    by_tag: defaultdict[str, list[tuple[str, str, Json]]] = defaultdict(list)
    for path, item in paths.items():
        for method in METHODS:
            if method in item:
                by_tag[item[method]["tags"][0]].append((method, path, item[method]))
    return by_tag


def _contents(tags: list[Json]) -> str:
    links = "".join(f'<li><a href="#{_anchor(tag["name"])}">{escape(tag["name"])}</a></li>' for tag in tags)
    return f'<nav><strong>Contents</strong><ul>{links}<li><a href="#schemas">Schemas</a></li></ul></nav>'


def _section(tag: str, description: str, operations: list[tuple[str, str, Json]]) -> str:
    shown = "".join(_operation(*one) for one in operations)
    heading = f'<h2 id="{_anchor(tag)}">{escape(tag)}</h2>'
    return f"<section>{heading}{_markdown(description)}{shown}</section>"


def _anchor(tag: str) -> str:
    return tag.lower().replace(" ", "-")


def _operation(method: str, path: str, operation: Json) -> str:
    parts = [_markdown(operation.get("description", ""))]
    if operation.get("parameters"):
        parts.append(_parameters(operation["parameters"]))
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<h4>Body</h4>{_content(media_type, content)}")
    parts.append("<h4>Answers</h4>")
    parts += [_answer(status, answer) for status, answer in operation["responses"].items() if status < "400"]
    parts.append(_errors(operation["responses"]))
    heading = (
        f'<b class="{method}">{method.upper()}</b> <code>{escape(path)}</code> '
        f"<span>{_inline(operation.get('summary', ''))}</span>"
    )
    return (
        f'<details id="{escape(operation["operationId"])}"><summary>{heading}</summary>'
        f'<div class="operation">{"".join(parts)}</div></details>'
    )


def _parameters(parameters: list[Json]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code></td>"
        f"<td>{escape(one['in'])}{', required' if one.get('required') else ''}</td>"
        f"<td>{type_words(one['schema'])}</td><td>{_inline(one.get('description', ''))}</td></tr>"
        for one in parameters
    )
    heading = "<tr><th>Name</th><th>In</th><th>Type</th><th>Description</th></tr>"
    return f"<h4>Parameters</h4><table>{heading}{rows}</table>"


def _content(media_type: str, content: Json) -> str:
    """Return the type of a body, and its example where there is one."""
    schema = content.get("schema", {})
    kind = link_to(schema["$ref"]) if "$ref" in schema else type_words(schema)
    example = f"<pre>{_json(content['example'])}</pre>" if "example" in content else ""
    return f"<p>{kind} as <code>{escape(media_type)}</code></p>{example}"


def _answer(status: str, answer: Json) -> str:
    contents = "".join(_content(*one) for one in answer.get("content", {}).items())
    return f"<p><strong>{escape(status)}</strong> {_inline(answer['description'])}</p>{contents}"


def _errors(responses: Json) -> str:
    rows = "".join(
        f"<tr><td>{escape(status)}</td><td>{_inline(answer['description'])}</td></tr>"
        for status, answer in responses.items()
        if status >= "400"
    )
    return f"<details><summary>Errors</summary><table>{rows}</table></details>"


def _schemas(schemas: Json) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        description = _markdown(schema.get("description", ""))
        raw = f"<details><summary>JSON Schema</summary><pre>{_json(schema)}</pre></details>"
        heading = f'<h3 id="{escape(name)}">{escape(name)}</h3>'
        yield f"<article>{heading}{description}{_members(schema)}{raw}</article>"


def _members(schema: Json) -> str:
    required = schema.get("required", ())
    rows = "".join(
        f"<tr><td><code>{escape(member)}</code>{'' if member in required else ' (optional)'}</td>"
        f"<td>{type_words(one)}</td><td>{_inline(one.get('description', ''))}</td></tr>"
        for member, one in schema.get("properties", {}).items()
    )
    heading = "<tr><th>Member</th><th>Type</th><th>Description</th></tr>"
    return f"<table>{heading}{rows}</table>" if rows else ""


def _json(value: Any) -> str:
    return escape(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _markdown(text: str) -> str:
    return str(_parser().render(text))


def _inline(text: str) -> str:
    return str(_parser().renderInline(text))


@functools.cache
def _parser() -> MarkdownIt:
    # Imported late: most processes never show the page.
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table")
