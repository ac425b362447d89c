"""Times for tests of what is scheduled."""

from __future__ import annotations

import datetime

HOUR = 3600.0


def at(time: str) -> datetime.datetime:
    """A time in UTC."""
    return datetime.datetime.fromisoformat(time).replace(tzinfo=datetime.UTC)
