"""The table of all settings, from the source of ``pagemill.settings``."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from pagemill import settings as module
from pagemill.settings import PREFIX, Settings

_REFERENCE = re.compile(r"``([^`]+)``")
_NAMES = {field.name for field in msgspec.structs.fields(Settings)}


@dataclass(frozen=True, slots=True)
class DocumentedSetting:
    """A setting as its source describes it."""

    name: str
    default: str
    meaning: str


def documented_settings() -> list[DocumentedSetting]:
    """Return all settings in their order. Raises ValueError naming one that is not described."""
    [described] = [
        node
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef) and node.name == Settings.__name__
    ]
    return [_documented(name, text) for name, text in _fields(described)]


def settings_table() -> str:
    """Return the table in Markdown."""
    rows = [f"| `{one.name}` | {one.default} | {one.meaning} |" for one in documented_settings()]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows, ""])


def _fields(described: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Yield each field's name and the string below it, which is empty without one."""
    following: list[ast.stmt] = [*described.body[1:], ast.Pass()]
    for node, below in zip(described.body, following, strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, _text_of(below)


def _text_of(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return str(statement.value.value)
    return ""


def _documented(name: str, text: str) -> DocumentedSetting:
    if not text:
        raise ValueError(f"the setting {name} is not described")
    meaning = _REFERENCE.sub(_as_variable, " ".join(text.split()))
    return DocumentedSetting(f"{PREFIX}{name.upper()}", _default_of(name), meaning.replace("|", "\\|"))


def _as_variable(reference: re.Match[str]) -> str:
    named = reference[1]
    return f"`{PREFIX}{named.upper()}`" if named in _NAMES else f"`{named}`"


def _default_of(name: str) -> str:
    [field] = [field for field in msgspec.structs.fields(Settings) if field.name == name]
    if field.required:
        return "required"
    if field.default in (None, ""):
        return "not set"
    value = field.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) and value < 1e6 else f"`{value}`"
