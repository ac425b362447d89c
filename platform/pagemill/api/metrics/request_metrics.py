"""Counting of requests, which may cost little of what their answers cost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.types import HTTPScope

from pagemill.api.metrics.figure_places import IN_FLIGHT, NO_ANSWER, FigurePlaces, Operation
from pagemill.api.metrics.process_figures import ProcessFigures, empty_figures

GATHERED = 1000
"""Most answers that are counted together."""


def operations_of(app: Litestar) -> list[Operation]:
    """Return the operations of an application, with the paths of its router."""
    return [
        Operation(method, route.path_format)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.route_handler_map
    ]


class RequestMetrics:
    """Counts of the requests of this process, by operation and status.

    Answers are gathered and counted together: between two requests the processor has forgotten how to count,
    and a single one would take it four times as long.
    """

    def __init__(self, places: FigurePlaces) -> None:
        self._places = places
        self._answers: list[tuple[str, str | None, int, float]] = []
        self.figures = empty_figures(places)

    @contextlib.contextmanager
    def shared(self, files: ProcessFigures) -> Iterator[None]:
        """Count where other processes see it. Raises OSError when there is no room for the figures."""
        alone = self.figures
        with files.open() as self.figures:
            try:
                yield
            finally:
                self.count()
                self.figures = alone

    def begun(self) -> None:
        """Note a request that has come."""
        self.figures[IN_FLIGHT] += 1.0

    def answered(self, scope: HTTPScope, status: int, seconds: float) -> None:
        """Note a request that was answered after some seconds; the status is 0 without an answer."""
        self.figures[IN_FLIGHT] -= 1.0
        # The router sets the template when it has found a handler.
        self._answers.append((scope["method"], scope.get("path_template"), status, seconds))
        if len(self._answers) >= GATHERED:
            self.count()

    def count(self) -> None:
        """Count what was answered since the last time."""
        figures = self.figures
        for method, route, status, seconds in self._answers:
            seconds_places, statuses = self._places.places_of(method, route)
            seconds_places.observe(figures, seconds)
            figures[statuses.get(status, statuses[NO_ANSWER])] += 1.0
        self._answers.clear()
