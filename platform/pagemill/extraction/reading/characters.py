"""Characters of a text layer."""

from __future__ import annotations

import msgspec


class Character(msgspec.Struct, frozen=True, gc=False):
    """One character, its box in points of the page as shown."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def size(self) -> float:
        """Return the longer side of the box."""
        return max(self.x1 - self.x0, self.y1 - self.y0)

    @property
    def centre(self) -> tuple[float, float]:
        """Return the centre of the box."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2
