"""Means by which the kernel confines a child, and which of them this kernel and this user have."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Means(StrEnum):
    """A means of the kernel, in an operator's words."""

    NO_NEW_PRIVILEGES = "no new privileges"
    SYSTEM_CALLS = "seccomp"
    FILES = "Landlock"
    OTHER_USER = "another user"
    NO_NETWORK = "no network"


ESSENTIAL: Final = frozenset({Means.NO_NEW_PRIVILEGES, Means.SYSTEM_CALLS, Means.FILES})
"""Without one of these a child could do something that no other means forbids."""


class Confinement(msgspec.Struct, frozen=True):
    """Means that children have, and those that they were meant to have and lack."""

    means: frozenset[Means] = frozenset()
    missing: frozenset[Means] = frozenset()

    def in_words(self) -> str:
        """Return both lists as one line."""
        found = ", ".join(one for one in Means if one in self.means) or "nothing but limits of resources"
        if not self.missing:
            return found
        return (
            f"{found}; the kernel or the user lacks {', '.join(one for one in Means if one in self.missing)}"
        )
