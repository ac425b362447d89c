"""The resource and the action of a request, from its route: the table by which the guard decides."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pagemill.api.auth.tokens import Caller
from pagemill.permissions import Action

VERSION_PREFIX = "v1"
OWN = "me"

KINDS = {
    "appClients": "app-client",
    "assets": "asset",
    "auditEvents": "audit-event",
    "dataBundles": "model-data-bundle",
    "datasets": "dataset",
    "deploymentEnvironments": "deployment-environment",
    "documents": "document",
    "files": "document",
    "logs": "log",
    "models": "model",
    "organizations": "organization",
    "paymentMethods": "payment-method",
    "plans": "plan",
    "predictions": "prediction",
    "profiles": "profile",
    "roles": "role",
    "secrets": "secret",
    "trainings": "model-training",
    "transformations": "dataset-transformation",
    "transitions": "transition",
    "users": "user",
    "webhooks": "webhook",
    "workflows": "workflow",
}
"""Kind, as in ids, of the resources in a collection, by the collection's name."""

BELOW = {
    ("app-client", "secret"): "app-client",
    ("transition", "executions"): "transition-execution",
    ("transition-execution", "claim"): "transition-execution",
    ("transition-execution", "defer"): "transition-execution",
    ("transition-execution", "heartbeats"): "transition-execution",
    ("transition-execution", "release"): "transition-execution",
    ("webhook", "attempts"): "webhook",
    ("workflow", "executions"): "workflow-execution",
}
"""The same by (kind above, name), for names that several collections have."""

READING = ("GET", "HEAD")


class NoResource(LookupError):
    """A route is not in the table, so nobody can be admitted."""


@dataclass(frozen=True, slots=True)
class Resource:
    """The resource of a route. ``parameter`` is the path parameter with its id; a collection has none."""

    kind: str
    parameter: str | None

    def identify(self, path_parameters: Mapping[str, Any], caller: Caller) -> str:
        """Return the id to check permissions for, always of this kind; ``las:<kind>:*`` for a collection."""
        prefix = f"las:{self.kind}:"
        if self.parameter is None:
            return f"{prefix}*"
        identifier = str(path_parameters[self.parameter])
        if identifier == OWN and self.kind == "organization":
            return caller.organization_id
        return identifier if identifier.startswith(prefix) else prefix + identifier


@functools.cache
def resources_of(path_template: str) -> tuple[Resource, ...]:
    """Return the resources of a route, the one that it is about last: the collections in its path.

    Raises NoResource.
    """
    found: list[Resource] = []
    for segment in path_template.strip("/").split("/"):
        above = found[-1] if found else Resource("", None)
        if segment.startswith("{"):
            if not found:
                raise NoResource(path_template)
            found[-1] = Resource(above.kind, segment.strip("{}").partition(":")[0])
        elif segment != VERSION_PREFIX:
            below = BELOW.get((above.kind, segment))
            kind = below or KINDS.get(segment)
            if kind is None:
                raise NoResource(path_template)
            # An action on one resource, like a heartbeat, has the id of that resource.
            if below is None or below != above.kind:
                found.append(Resource(kind, None))
    if not found:
        raise NoResource(path_template)
    return tuple(found)


def resource_of(path_template: str) -> Resource:
    """Return the resource that a route is about: the last collection in its path, and its parameter.

    Raises NoResource.
    """
    return resources_of(path_template)[-1]


def action_of(method: str) -> Action:
    """Return the action of a request by its method."""
    return "read" if method in READING else "write"
