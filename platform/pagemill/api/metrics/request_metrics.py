"""Counting of requests, for which there are two microseconds each."""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Iterator

from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.types import HTTPScope

from pagemill.api.metrics.figure_places import IN_FLIGHT, NO_ANSWER, REQUEST_SECONDS, FigurePlaces, Operation
from pagemill.api.metrics.process_figures import ProcessFigures, empty_figures


def operations_of(app: Litestar) -> list[Operation]:
    """Return the operations of an application, with the paths of its router."""
    return [
        Operation(method, route.path_format)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.route_handler_map
    ]


class RequestMetrics:
    """Counts of the requests of this process, by operation and status."""

    def __init__(self, places: FigurePlaces) -> None:
        self._places, self._operations = places, places.operations
        self.figures = empty_figures(places)

    @contextlib.contextmanager
    def shared(self, files: ProcessFigures) -> Iterator[None]:
        """Count where other processes see it. Raises OSError when there is no room for the figures."""
        alone = self.figures
        with files.open() as self.figures:
            try:
                yield
            finally:
                self.figures = alone

    def begun(self) -> None:
        """Count a request that has come."""
        self.figures[IN_FLIGHT] += 1.0

    def answered(self, scope: HTTPScope, status: int, seconds: float) -> None:
        """Count a request that was answered after some seconds; the status is 0 without an answer."""
        # Written out, not divided: between two requests the processor has forgotten each call made here.
        figures, method = self.figures, scope["method"]
        # The router sets the template when it has found a handler.
        route = scope.get("path_template") or ""
        places = self._operations.get((method, route)) or self._places.of_unknown(method)
        begin, statuses = places.seconds.begin, places.statuses
        figures[IN_FLIGHT] -= 1.0
        figures[begin] += seconds
        figures[begin + 1 + bisect_left(REQUEST_SECONDS, seconds)] += 1.0
        figures[statuses.get(status, statuses[NO_ANSWER])] += 1.0
