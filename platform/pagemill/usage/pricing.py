"""Prices of a month's usage: pure arithmetic on exact decimals.

A price is charged for each started unit of ``unitSize`` beyond the included units. ``tiers`` are graduated:
the price of a tier applies to the part of the overage that lies within it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from pagemill.errors import PagemillError
from pagemill.usage.meters import Meter

Currency: TypeAlias = Literal["USD", "EUR", "NOK"]
CENT = Decimal("0.01")
LARGEST = Decimal(10) ** 12


class PriceError(PagemillError):
    """A price that contradicts itself; the message names the member."""


class Tier(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Price of each unit of the overage up to ``upTo``; the last tier has no end."""

    price: Decimal
    up_to: Annotated[int, Meta(ge=1)] | None = None


class Price(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Price of a meter: ``included`` is free, then ``price``, or ``tiers``, for each ``unitSize``."""

    price: Decimal = Decimal(0)
    unit_size: Annotated[int, Meta(ge=1)] = 1
    included: Decimal = Decimal(0)
    tiers: tuple[Tier, ...] = ()

    def check(self, name: str) -> None:
        """Check that the members fit together. Raises PriceError, which names the first that does not."""
        for member, value in (("price", self.price), ("included", self.included)):
            _check_amount(f"{name}.{member}", value)
        if self.tiers and self.price:
            raise PriceError(f"{name}: has a price and tiers; one of them decides")
        ends = [tier.up_to for tier in self.tiers]
        for index, tier in enumerate(self.tiers):
            _check_amount(f"{name}.tiers[{index}].price", tier.price)
            last = index == len(self.tiers) - 1
            if last != (tier.up_to is None):
                raise PriceError(f"{name}.tiers[{index}].upTo: the last tier, and only that, has no end")
        begun = [end for end in ends if end is not None]
        if begun != sorted(set(begun)):
            raise PriceError(f"{name}.tiers: upTo has to grow from tier to tier")

    def charge(self, overage: Decimal) -> tuple[Decimal, Decimal]:
        """Return the units to be paid for an overage, and their amount, rounded to cents."""
        units = (overage / self.unit_size).to_integral_value(ROUND_CEILING)
        tiers = self.tiers or (Tier(self.price),)
        amount, start = Decimal(0), Decimal(0)
        for tier in tiers:
            end = units if tier.up_to is None else min(units, Decimal(tier.up_to))
            amount += max(end - start, Decimal(0)) * tier.price
            start = end
        return units, amount.quantize(CENT, ROUND_HALF_UP)


PRICED: dict[str, Meter] = {
    "pagePredictions": "pages",
    "fieldPredictions": "fields",
    "activeModels": "active-models",
    "gpuHours": "gpu-hours",
    "productionWorkflowMinutes": "production-workflow-minutes",
    "userMinutes": "user-minutes",
    "users": "users",
    "flows": "workflows",
}
"""The meter behind each priced member of a plan."""


class MonthStatementLine(msgspec.Struct, frozen=True, rename="camel"):
    """Line of a month statement: a priced member of the plan, in the statement's currency."""

    name: str
    used: Decimal
    included: Decimal
    overage: Decimal
    unit_size: int
    units: Decimal
    amount: Decimal


class MonthStatement(msgspec.Struct, frozen=True, rename="camel"):
    """Usage of an organization in a month (UTC), and its price under a plan."""

    organization_id: str
    month: str
    plan_id: str | None
    currency: Currency
    lines: tuple[MonthStatementLine, ...]
    total: Decimal


def price_month(
    organization_id: str,
    month: str,
    plan_id: str | None,
    currency: Currency,
    prices: Mapping[str, Price],
    used: Mapping[Meter, float],
) -> MonthStatement:
    """Return the statement of a month's usage under ``prices``.

    ``prices`` are named by the plan's members; ``license`` is a fixed fee.
    """
    lines = []
    if "license" in prices:
        fee = prices["license"].price.quantize(CENT, ROUND_HALF_UP)
        one = Decimal(1)
        lines.append(MonthStatementLine("license", one, Decimal(0), one, 1, one, fee))
    for name, meter in PRICED.items():
        if name in prices:
            lines.append(_line(name, prices[name], Decimal(str(used.get(meter, 0)))))
    total = sum((line.amount for line in lines), Decimal(0)).quantize(CENT)
    return MonthStatement(organization_id, month, plan_id, currency, tuple(lines), total)


def _line(name: str, price: Price, used: Decimal) -> MonthStatementLine:
    overage = max(used - price.included, Decimal(0))
    units, amount = price.charge(overage)
    return MonthStatementLine(name, used, price.included, overage, price.unit_size, units, amount)


def _check_amount(name: str, value: Decimal) -> None:
    if not value.is_finite() or not 0 <= value <= LARGEST:
        raise PriceError(f"{name}: must be between 0 and {LARGEST:f}")
