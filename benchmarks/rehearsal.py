"""A rehearsal: a promise of the cluster, kept or not by the product's own code without a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """Observation as JSON values, and the verdict on the bound."""

    seen: Mapping[str, object]
    holds: bool


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A rehearsal, with its bound in words."""

    number: int
    name: str
    bound: str
    run: Callable[[], Outcome]
