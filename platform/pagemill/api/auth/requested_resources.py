"""Which resource a request is about and what it does to it: the one table that the guard decides from."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pagemill.api.auth.permissions import Action
from pagemill.api.auth.tokens import Caller

VERSION_PREFIX = "v1"
OWN = "me"

KINDS = {
    "appClients": "app-client",
    "assets": "asset",
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
"""The kind in the ids of each collection."""

BELOW = {
    ("transition", "executions"): "transition-execution",
    ("transition-execution", "heartbeats"): "transition-execution",
    ("webhook", "attempts"): "webhook",
    ("workflow", "executions"): "workflow-execution",
}
"""The same for collections that are named like another one's."""

READING = ("GET", "HEAD")


class NoResource(LookupError):
    """A route that is not in the table: nobody can be let in."""


@dataclass(frozen=True, slots=True)
class Resource:
    """``parameter`` is the path's parameter with the id; a collection has none."""

    kind: str
    parameter: str | None

    def identify(self, path_parameters: Mapping[str, Any], caller: Caller) -> str:
        """The id that is asked about, ``las:<kind>:*`` for a collection. It always is one of this kind."""
        prefix = f"las:{self.kind}:"
        if self.parameter is None:
            return f"{prefix}*"
        identifier = str(path_parameters[self.parameter])
        if identifier == OWN and self.kind == "organization":
            return caller.organization_id
        return identifier if identifier.startswith(prefix) else prefix + identifier


@functools.cache
def resource_of(path_template: str) -> Resource:
    """What a route's path is about: its last collection, and the last parameter after that.

    Raises NoResource.
    """
    kind = parameter = None
    for segment in path_template.strip("/").split("/"):
        if segment.startswith("{"):
            parameter = segment.strip("{}").partition(":")[0]
        elif segment != VERSION_PREFIX:
            below = BELOW.get((kind or "", segment))
            # What is done to one resource, like a heartbeat, has the id of that.
            parameter = parameter if below is not None and below == kind else None
            kind = below or KINDS.get(segment)
            if kind is None:
                raise NoResource(path_template)
    if kind is None:
        raise NoResource(path_template)
    return Resource(kind, parameter)


def action_of(method: str) -> Action:
    """What a request does by its method."""
    return "read" if method in READING else "write"
