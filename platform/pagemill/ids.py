"""New ids in the API's form."""

from __future__ import annotations

import uuid
from typing import Literal

HexKind = Literal[
    "asset",
    "consent",
    "dataset",
    "dataset-transformation",
    "document",
    "log",
    "model-data-bundle",
    "payment-method",
    "prediction",
    "profile",
    "secret",
    "transition",
    "transition-execution",
    "user",
    "webhook",
    "webhook-attempt",
    "workflow",
    "workflow-execution",
]
SlugKind = Literal["app-client", "model", "model-training", "organization"]


def new_id(kind: HexKind) -> str:
    """``las:<kind>:`` and 32 hexadecimal digits."""
    return f"las:{kind}:{uuid.uuid4().hex}"


def new_slug_id(kind: SlugKind) -> str:
    """``las:<kind>:<slug>``; the slug of a new resource is 32 hexadecimal digits too."""
    return f"las:{kind}:{uuid.uuid4().hex}"


def slug_of(identifier: str) -> str:
    """What stands after the last colon of an id."""
    return identifier.rsplit(":", 1)[-1]
