"""Users of children that root starts: nothing belongs to such a user, and no other may touch it."""

from __future__ import annotations

import os
from typing import Final

FIRST_USER: Final = 2_000_000_000
"""Far from users of people, of services, and of the ranges that systemd and containers take."""
NOBODY: Final = 65534
"""For containers that know only the first users. Children share it, and have the other walls between them."""


def become_another_user() -> None:
    """Change to a user and a group that no other process has: the process id makes them unique.

    Raises OSError when this process may not change its user.
    """
    os.setgroups([])
    try:
        _become(FIRST_USER + os.getpid())
    except OSError:
        _become(NOBODY)


def _become(user: int) -> None:
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
