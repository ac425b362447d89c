"""What the organizations of a run do, and what their plans allow: both follow from the seed alone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.history import Kind

ORGANIZATIONS = 5
WEIGHTS: dict[Kind, int] = {
    "prediction": 28,
    "prediction-async": 32,
    "document": 14,
    "deletion": 6,
    "transformation": 10,
    "data-bundle": 10,
}
MOST_PAGES = 3
KEYED = 0.75
SHARES = (0.6, 0.95)
"""Between these shares of what an organization wants is allowed by its plan."""
METERS: dict[Kind, str] = {
    "prediction": "predictions",
    "prediction-async": "predictions",
    "document": "documents",
    "transformation": "transformations",
    "data-bundle": "data-bundles",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that an organization (by its number) wants done."""

    number: int
    organization: int
    kind: Kind
    keyed: bool
    pages: int


def operations(seed: int, count: int) -> list[Operation]:
    """``count`` operations, of all organizations in turn, in the order in which they are begun."""
    chance = random.Random(f"operations:{seed}")
    dealt = [_kinds(chance, len(range(first, count, ORGANIZATIONS))) for first in range(ORGANIZATIONS)]
    return [
        Operation(
            number=number,
            organization=number % ORGANIZATIONS,
            kind=(kind := dealt[number % ORGANIZATIONS][number // ORGANIZATIONS]),
            # A deletion is the same however often it is sent; the API takes keys for POST only.
            keyed=kind != "deletion" and chance.random() < KEYED,
            pages=chance.randint(1, MOST_PAGES),
        )
        for number in range(count)
    ]


def _kinds(chance: random.Random, count: int) -> list[Kind]:
    """By their weights, but at least two of each that is limited: one is done and one is too much."""
    whole = sum(WEIGHTS.values())
    kinds: list[Kind] = []
    for kind, weight in WEIGHTS.items():
        kinds += [kind] * max(2 if kind in METERS else 1, count * weight // whole)
    kinds += chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=max(0, count - len(kinds)))
    chance.shuffle(kinds)
    return kinds[:count]


def allowances(seed: int, wanted: Sequence[Operation]) -> list[dict[str, float]]:
    """What each organization's plan allows: of every meter less than it wants, so that all limits are met."""
    chance = random.Random(f"allowances:{seed}")
    plans = []
    for organization in range(ORGANIZATIONS):
        wishes: Counter[str] = Counter()
        for one in wanted:
            if one.organization == organization and one.kind in METERS:
                wishes[METERS[one.kind]] += 1
                if METERS[one.kind] == "predictions":
                    wishes["pages"] += one.pages
        plans.append(
            {meter: float(max(1, int(wishes[meter] * chance.uniform(*SHARES)))) for meter in sorted(wishes)}
        )
    return plans
