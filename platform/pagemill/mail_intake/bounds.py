"""Bounds of what strangers can make an SMTP server hold: connections, and bytes of mail."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator


class Connections:
    """Connections that are open: at most ``maximum``, and half of them from one address."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._of_one = max(1, maximum // 2)
        self._open = Counter[str]()

    def admit(self, address: str) -> bool:
        """Count a new connection; return False when it is one too many, and is not counted."""
        if self._open.total() >= self._maximum or self._open[address] >= self._of_one:
            return False
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        """Forget a connection that was admitted."""
        self._open[address] -= 1
        self._open += Counter()


class ByteBudget:
    """Bytes of mail in memory, of all connections together."""

    def __init__(self, maximum: int) -> None:
        self._left = maximum

    @contextlib.contextmanager
    def share(self) -> Iterator[Share]:
        """Yield a share of the budget, which is given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            share.give_back()

    def take(self, count: int) -> bool:
        """Take bytes, or return False and take none."""
        if count > self._left:
            return False
        self._left -= count
        return True

    def give_back(self, count: int) -> None:
        """Return bytes that were taken."""
        self._left += count


class Share:
    """Bytes that one mail has taken of a budget."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget, self._taken = budget, 0

    def take(self, count: int) -> bool:
        """Take bytes, or return False and take none."""
        taken = self._budget.take(count)
        if taken:
            self._taken += count
        return taken

    def give_back(self) -> None:
        """Return all of them."""
        self._budget.give_back(self._taken)
        self._taken = 0
