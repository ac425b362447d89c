"""OAuth scopes: a token may be asked for that does less than its principal may."""

from __future__ import annotations

import functools

from pagemill.api.auth.permissions import Action
from pagemill.errors import BadRequest

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
READ_ONLY = ("deploymentenvironments", "logs", "plans", "roles", "webhooks.attempts")
WRITE_ONLY = ("transitions.executions.heartbeats",)
SCOPES = frozenset(
    [f"{PREFIX}{name}:read" for name in (*CHANGED, *READ_ONLY)]
    + [f"{PREFIX}{name}:write" for name in (*CHANGED, *WRITE_ONLY)]
)
FILES = "files"
"""The contents of documents."""
NOT_ALONE = {"attempts", "executions", "heartbeats"}
"""Collections that have the name of the one above before theirs."""


def read_scopes(text: str | None) -> frozenset[str] | None:
    """The scopes that a token is asked for; None for all. Raises BadRequest for one that does not exist."""
    names = frozenset((text or "").split())
    if not names <= SCOPES:
        raise BadRequest("invalid_scope")
    return names or None


@functools.cache
def scope_of(path_template: str, action: Action) -> str:
    """The scope that a request of this kind needs."""
    names: list[str] = []
    for segment in path_template.strip("/").split("/")[1:]:
        if not segment.startswith("{"):
            names = [*names, segment] if segment in NOT_ALONE else [segment]
    collection = ".".join(names).lower()
    return f"{PREFIX}{'documents' if collection == FILES else collection}:{action}"
