"""Bounds of one decision: how much work it may do, and how large data may be."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import msgspec

from pagemill.workflows.failures import DATA_LIMIT, StateFailed, WorkSpent

DATA_BYTES = 256 * 1024
"""Largest input, output and value between them, as JSON."""
DEEPEST_DATA = 100
MOST_WORK = 10_000
"""Between two events. The largest definition needs less unless its states form a circle without a task."""
BYTES_OF_WORK = 4096
"""As long to write as a short path takes to read, some microseconds."""
BRACKETS_OF_WORK = 64
"""As long to look into."""
CALL_BYTES_OF_WORK = 512
"""As long for a function to work on."""


class Work:
    """Work that is left for a decision, and its random values: the same for the same execution and draw."""

    def __init__(self, seed: str, draws: int = 0) -> None:
        self.left = MOST_WORK
        self.seed = seed
        self.draws = draws

    def spend(self, units: int = 1) -> None:
        """Take units of what is left. Raises WorkSpent when nothing is."""
        self.left -= units
        if self.left < 0:
            raise WorkSpent

    def measure(self, value: Any) -> int:
        """Return a value's bytes as JSON. Raises StateFailed when it is too large or nested too deeply."""
        if value is None or isinstance(value, bool | int | float):
            return 8
        try:
            encoded = msgspec.json.encode(value)
        except RecursionError:
            raise too_deep() from None
        self.spend(len(encoded) // BYTES_OF_WORK)
        if len(encoded) > DATA_BYTES:
            raise too_large()
        brackets = encoded.count(b"[") + encoded.count(b"{")
        self.spend(brackets // BRACKETS_OF_WORK)
        if brackets > DEEPEST_DATA and not is_shallow(value):
            raise too_deep()
        return len(encoded)

    def draw(self) -> random.Random:
        """Return the next source of random values."""
        self.draws += 1
        digest = hashlib.sha256(f"{self.seed}/{self.draws}".encode()).digest()
        return random.Random(digest)


def is_shallow(value: Any, most: int = DEEPEST_DATA) -> bool:
    """Return whether lists and objects are nested no deeper than that."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(most):
        if not level:
            return True
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return not level


def too_large() -> StateFailed:
    """Return the failure of data that are too large."""
    return StateFailed(DATA_LIMIT, f"Data are larger than {DATA_BYTES} bytes")


def too_deep() -> StateFailed:
    """Return the failure of data that are nested too deeply."""
    return StateFailed(DATA_LIMIT, f"Data are nested deeper than {DEEPEST_DATA} levels")
