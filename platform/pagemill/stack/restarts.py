"""Restart policy: when a part that ended is started again. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MAXIMUM_DOUBLINGS = 32


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Delays between restarts, in seconds."""

    first_delay: float = 0.2
    factor: float = 2.0
    longest_delay: float = 30.0
    calm: float = 60.0
    """A part that ran for so long is no longer held to account for earlier ends."""
    patience: int = 3
    """Failures in a row before the stack was ever ready, after which ``up`` gives up."""


class Restarts:
    """History of one part."""

    def __init__(self, policy: RestartPolicy, clock: Callable[[], float]) -> None:
        self._policy = policy
        self._clock = clock
        self._up_since: float | None = None
        self.failures = 0
        self.count = 0

    def came_up(self) -> None:
        """Record that the part answers."""
        self._up_since = self._clock()

    def ended(self) -> float:
        """Record that the part ended or did not start; return the seconds to wait before the next start."""
        if self._up_since is not None and self._clock() - self._up_since >= self._policy.calm:
            self.failures = 0
        self._up_since = None
        self.failures += 1
        self.count += 1
        doublings = min(self.failures - 1, MAXIMUM_DOUBLINGS)
        return min(self._policy.first_delay * self._policy.factor**doublings, self._policy.longest_delay)

    def hopeless(self) -> bool:
        """Return whether a part that never worked is not worth another try."""
        return self.failures >= self._policy.patience
