"""References to the named schemas of the document."""

from __future__ import annotations

TEMPLATE = "#/components/schemas/{name}"


def reference_to(name: str) -> dict[str, str]:
    """Return a schema that refers to a named one."""
    return {"$ref": TEMPLATE.format(name=name)}
