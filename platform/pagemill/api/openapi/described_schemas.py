"""Descriptions of schemas and of their members."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from pagemill.api.openapi.texts import read_texts
from pagemill.usage.limits import UNLIMITED

Json: TypeAlias = dict[str, Any]

COUNTERS = (
    (r"monthlyNumberOf(\w+)Created", "How many {} were created this month."),
    (r"monthlyNumberOf(\w+)Used", "How many {} were used this month."),
    (
        r"monthlyNumberOf(\w+)Allowed",
        f"How many {{}} the plan allows a month; {UNLIMITED} means no limit.",
    ),
    (r"numberOf(\w+)Created", "How many {} there are."),
    (r"numberOf(\w+)Allowed", f"How many {{}} the plan allows at the same time; {UNLIMITED} means no limit."),
)
"""Descriptions of an organization's counters by the form of their names."""

_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def describe_schemas(components: Json) -> None:
    """Add descriptions to named schemas and their members, in place."""
    texts = read_texts("schemas")
    for name, schema in components.items():
        if name in texts:
            schema["description"] = texts[name]
        describe_members_of(schema, name)


def describe_members_of(schema: Json, name: str) -> None:
    """Add descriptions to the members of one schema, in place."""
    for member, described in schema.get("properties", {}).items():
        text = _member_text(name, member)
        if text is not None:
            schema["properties"][member] = {**described, "description": text}


def _member_text(schema: str, member: str) -> str | None:
    texts = read_texts("members")
    text = texts.get(schema, {}).get(member) or texts.get(member)
    if isinstance(text, str):
        return text
    for pattern, template in COUNTERS:
        match = re.fullmatch(pattern, member)
        if match is not None:
            return template.format(_CAPITAL.sub(" ", match[1]).lower().replace("gpu", "GPU"))
    return None
