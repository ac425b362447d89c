"""Transitions of all organizations, ``las:transition:commons-*``: functions that need no row."""

from __future__ import annotations

from typing import Final

from pagemill.ids import TransitionId

PREFIX: Final = "las:transition:commons-"
TIMEOUT_IN_SECONDS: Final = 1800
"""The time limit of lambda transitions unless they have another."""


def is_commons(transition_id: TransitionId) -> bool:
    """Return whether a transition is one of all organizations."""
    return transition_id.startswith(PREFIX)
