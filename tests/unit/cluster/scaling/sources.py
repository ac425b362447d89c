"""Sources of figures for tests."""

from __future__ import annotations

from pagemill.cluster.scaling.figures import Backlog


class GivenBacklog:
    """A source that answers what it is given."""

    def __init__(self, backlog: Backlog | None = None) -> None:
        self.latest = backlog
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True
