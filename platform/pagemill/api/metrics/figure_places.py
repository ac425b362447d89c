"""Places of all figures of an API process in one array of numbers."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

import msgspec

IN_FLIGHT, IDLE_CONNECTIONS, USED_CONNECTIONS = GAUGES = range(3)
"""Places of the gauges. They come first: what they say ends with their process, other figures stay."""

LAG_SECONDS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
REQUEST_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""A read takes milliseconds, a synchronous prediction up to ``PAGEMILL_PREDICTION_WAIT`` seconds."""

NO_ANSWER = 0
"""Status of a request whose caller went before the answer began."""
STATUSES = (NO_ANSWER, *(status.value for status in HTTPStatus if status.value >= HTTPStatus.OK))
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
OTHER_METHOD = "other"
UNKNOWN_ROUTE = "unknown"
"""The route of all paths that there are not, and of methods that a path does not have."""


class Operation(NamedTuple):
    """Method and route of requests; a route is the template of their paths."""

    method: str
    route: str


class HistogramPlaces:
    """Places of a histogram: its sum, a count for each bucket, and one for what is above them all."""

    __slots__ = ("begin", "bounds", "end")

    def __init__(self, begin: int, bounds: Sequence[float]) -> None:
        self.begin, self.bounds = begin, bounds
        self.end = begin + len(bounds) + 2

    def observe(self, figures: memoryview[float], value: float) -> None:
        """Add a value to the sum and to its bucket."""
        figures[self.begin] += value
        figures[self.begin + 1 + bisect_left(self.bounds, value)] += 1.0


class OperationPlaces(NamedTuple):
    """Places of an operation's requests: their durations, and their number by status."""

    seconds: HistogramPlaces
    statuses: Mapping[int, int]


class FigurePlaces:
    """Places of an API process whose routes have some operations.

    ``digest`` names them: processes of the same release have the same.
    """

    def __init__(self, operations: Iterable[Operation]) -> None:
        known = {*operations, *(Operation(method, UNKNOWN_ROUTE) for method in (*METHODS, OTHER_METHOD))}
        self.lag = HistogramPlaces(len(GAUGES), LAG_SECONDS)
        self.operations: dict[Operation, OperationPlaces] = {}
        end = self.lag.end
        for operation in sorted(known):
            seconds = HistogramPlaces(end, REQUEST_SECONDS)
            end = seconds.end + len(STATUSES)
            statuses = dict(zip(STATUSES, range(seconds.end, end), strict=True))
            self.operations[operation] = OperationPlaces(seconds, statuses)
        self.size = end
        described = (sorted(known), LAG_SECONDS, REQUEST_SECONDS, STATUSES, len(GAUGES))
        self.digest = hashlib.sha256(msgspec.json.encode(described)).hexdigest()[:16]

    def places_of(self, method: str, route: str | None) -> OperationPlaces:
        """Return the places of a request; ``route`` is None where its path or its method is unknown."""
        places = self.operations.get(Operation(method, route)) if route is not None else None
        if places is not None:
            return places
        return self.operations[Operation(method if method in METHODS else OTHER_METHOD, UNKNOWN_ROUTE)]
