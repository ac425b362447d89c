"""OAuth scopes: a token can be limited to a part of what its principal may do."""

from __future__ import annotations

import functools

from pagemill.permissions import Action

PREFIX = "api.lucidtech.ai/"
CHANGED = (
    "appclients",
    "assets",
    "databundles",
    "datasets",
    "documents",
    "models",
    "organizations",
    "paymentmethods",
    "predictions",
    "profiles",
    "secrets",
    "trainings",
    "transformations",
    "transitions",
    "transitions.executions",
    "users",
    "webhooks",
    "workflows",
    "workflows.executions",
)
READ_ONLY = ("auditevents", "deploymentenvironments", "logs", "plans", "roles", "webhooks.attempts")
WRITE_ONLY = ("transitions.executions.heartbeats",)
SCOPES = frozenset(
    [f"{PREFIX}{name}:read" for name in (*CHANGED, *READ_ONLY)]
    + [f"{PREFIX}{name}:write" for name in (*CHANGED, *WRITE_ONLY)]
)
OPENID = frozenset({"openid"})
"""Asks for an ID token, which says who has signed in. It opens nothing of the API."""
FILES = "files"
"""Collection of the contents of documents, which has no scope of its own."""
NOT_ALONE = {"attempts", "executions", "heartbeats"}
"""Collections whose scope starts with the name of the collection above."""
VERBS = {"claim", "defer", "release", "secret"}
"""Operations on one resource, which have the scope of its collection."""


def scopes_of_api(text: str | None) -> frozenset[str] | None:
    """Return the scopes of an access token; None means all: nothing was asked for."""
    names = frozenset((text or "").split())
    return names - OPENID if names else None


@functools.cache
def scope_of(path_template: str, action: Action) -> str:
    """Return the scope that a request needs."""
    names: list[str] = []
    for segment in path_template.strip("/").split("/")[1:]:
        if not segment.startswith("{") and segment not in VERBS:
            names = [*names, segment] if segment in NOT_ALONE else [segment]
    collection = ".".join(names).lower()
    return f"{PREFIX}{'documents' if collection == FILES else collection}:{action}"
