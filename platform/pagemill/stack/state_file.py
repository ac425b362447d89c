"""State file of the supervisor, read by ``pagemill status``, ``env`` and ``down``."""

from __future__ import annotations

from typing import Literal

import msgspec

PartPhase = Literal["waiting", "starting", "up", "down"]


class PartState(msgspec.Struct, kw_only=True, rename="camel"):
    """One part as the supervisor sees it."""

    phase: PartPhase = "waiting"
    process_id: int | None = None
    restarts: int = 0
    reason: str | None = None
    """Reason of its last end."""


class StackState(msgspec.Struct, kw_only=True, rename="camel"):
    """A stack that runs, or ran last. Holds passwords: the file is private."""

    process_id: int
    url: str
    port: int
    parts: dict[str, PartState]
    settings: dict[str, str] = {}
    """Environment of the workers; empty until the database is known."""
    ray_address: str | None = None
    dashboard_url: str | None = None
    metrics_url: str | None = None
    ray_metrics_url: str | None = None
    ready: bool = False
