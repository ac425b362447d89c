"""Ids that a request names beside the one that it is about: above it in the path, in the query, in the body.

To name a resource in a query or a body takes the permission to read it. One that is above another in a path
only tells where that is, so reading it must not be denied. To delete others together with a resource takes
that none of their kind is denied. The table of routes and the schemas of bodies say where ids stand: what is
new there is checked without a line here, and a test walks both.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from pagemill.api.auth.requested_resources import action_of, resources_of
from pagemill.api.auth.tokens import Caller
from pagemill.errors import Forbidden
from pagemill.permissions import PermissionSet

NOBODYS: Final = frozenset({"role", "consent", "lambda"})
"""Kinds that are not asked for: who gives a role needs ``delegate``, and the others are no resources."""
COMMONS: Final = "las:transition:commons-"
"""Transitions that every state machine has."""

IN_QUERIES: Final[Mapping[str, str | None]] = {
    "consentId": None,
    "datasetId": "dataset",
    "documentId": "document",
    "executionId": None,
    "modelId": "model",
    "transitionExecutionId": "transition-execution",
    "transitionId": "transition",
    "workflowExecutionId": "workflow-execution",
    "workflowId": "workflow",
}
"""Kind of the ids in query parameters. None is for ids that need no permission of their own: consents belong
to nobody, and executions are filtered from a list that leaves out what the caller may not read."""

IN_FREE_OBJECTS: Final[Mapping[str, frozenset[str]]] = {
    "definition": frozenset({"transition"}),
    "parameters": frozenset({"asset", "secret"}),
}
"""Members without a schema of their own that name resources, with the kinds of those."""

DELETED_WITH: Final[Mapping[str, tuple[str, ...]]] = {
    "dataset": ("dataset-transformation",),
    "model": ("model-data-bundle", "model-training"),
    "transition": ("transition-execution",),
    "workflow": ("workflow-execution", "log"),
}
"""Kinds of what is deleted together with a resource, by that resource's kind."""

CHANGED_BY: Final[Mapping[tuple[str, str], str]] = {("POST", "dataset-transformation"): "document"}
"""Kind of what a job changes that a request queues, by the request's method and kind."""

_ID = re.compile(r"^(?:las:organization:[^/]+/)?(las:([a-z-]+):.+)$", re.DOTALL)

Reader = Callable[[Any], Iterator[str]]


def require_named(
    permissions: PermissionSet,
    caller: Caller,
    method: str,
    path_template: str,
    path_parameters: Mapping[str, Any],
    query: Iterable[tuple[str, str]],
) -> None:
    """Check the permissions on all that the path and the query of a request name. Raises Forbidden."""
    *above, resource = resources_of(path_template)
    for one in above:
        if one.parameter is not None and permissions.denies(one.identify(path_parameters, caller), "read"):
            raise Forbidden
    for name, identifier in query:
        kind = IN_QUERIES.get(name)
        if kind is not None and not permissions.allows_all(kind, "read"):
            require_readable(permissions, [identifier])
    if method == "DELETE":
        for kind in DELETED_WITH.get(resource.kind, ()) if resource.parameter else ():
            if permissions.denies_some(kind, "write"):
                raise Forbidden
    changed = CHANGED_BY.get((method, resource.kind))
    if changed is not None and not permissions.allows_all(changed, action_of(method)):
        raise Forbidden


def require_readable(permissions: PermissionSet, identifiers: Iterable[str]) -> None:
    """Check that resources may be read, whether or not there are such. Raises Forbidden."""
    for identifier in identifiers:
        matched = _ID.match(identifier)
        if matched is None or matched[2] in NOBODYS or identifier.startswith(COMMONS):
            continue
        if not permissions.allows_all(matched[2], "read") and not permissions.allows(matched[1], "read"):
            raise Forbidden


def ids_in_body(data: object) -> Iterator[str]:
    """Yield the ids that a decoded body names, wherever its schema has one."""
    if isinstance(data, msgspec.Struct):
        for name, read in readers_of(type(data)):
            yield from read(getattr(data, name))


@functools.cache
def readers_of(schema: type[msgspec.Struct]) -> tuple[tuple[str, Reader], ...]:
    """Return how to read the ids of a schema, by the field that has them; the other fields are left out."""
    hints = get_type_hints(schema, include_extras=True)
    found = ((name, _reader(name, hints[name])) for name in schema.__struct_fields__)
    return tuple((name, read) for name, read in found if read is not None)


def _reader(name: str, hint: Any) -> Reader | None:
    free = IN_FREE_OBJECTS.get(name)
    if free is not None:
        return functools.partial(_ids_of_kinds, free)
    return _texts if _is_id(hint) else ids_below if _has_ids(hint, frozenset()) else None


def _is_id(hint: Any) -> bool:
    """Return whether a type has texts whose pattern is that of an id."""
    if get_origin(hint) is Annotated:
        patterns = (one.pattern for one in hint.__metadata__ if isinstance(one, msgspec.Meta))
        return any("las:" in (pattern or "") for pattern in patterns) or _is_id(hint.__origin__)
    return any(_is_id(one) for one in get_args(hint))


def _has_ids(hint: Any, above: frozenset[type]) -> bool:
    """Return whether a type has structs with ids, at any depth; ``above`` are those that it stands in."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        hints = get_type_hints(hint, include_extras=True)
        return hint not in above and any(
            name in IN_FREE_OBJECTS or _is_id(hints[name]) or _has_ids(hints[name], above | {hint})
            for name in hint.__struct_fields__
        )
    return any(_has_ids(one, above) for one in get_args(hint))


def ids_below(value: Any) -> Iterator[str]:
    """Yield the ids of the structs in a value."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from ids_below(one)
    elif isinstance(value, dict):
        yield from ids_below(list(value.values()))
    else:
        yield from ids_in_body(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    else:
        yield from ids_in_body(value)


def ids_in_free_object(name: str, value: Any) -> Iterator[str]:
    """Yield the ids that a member without a schema names; ``name`` is one of ``IN_FREE_OBJECTS``."""
    yield from _ids_of_kinds(IN_FREE_OBJECTS[name], value)


def _ids_of_kinds(kinds: frozenset[str], value: Any) -> Iterator[str]:
    """Yield the ids of some kinds in an object without a schema."""
    for text in _texts(value):
        matched = _ID.match(text)
        if matched is not None and matched[2] in kinds:
            yield text
