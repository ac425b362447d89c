"""Plan files: TOML in which an operator defines plans, with the names of the API's members.

.. code-block:: toml

    [[plans]]
    planId = "las:plan:pro"
    version = 1
    name = "Pro"
    currency = "EUR"
    limitedBy = "pages"
    allowed = { pages = 10000, predictions = 5000, users = 5 }
    license = { price = 99 }
    pagePredictions = { included = 1000, tiers = [{ upTo = 5000, price = 0.02 }, { price = 0.01 }] }
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pagemill.errors import PagemillError
from pagemill.usage.limits import UNLIMITED, LimitedBy
from pagemill.usage.meters import METERS
from pagemill.usage.pricing import Currency, Price, PriceError

LONGEST_FILE = 1_000_000
PRICES = (
    "activeModels",
    "fieldPredictions",
    "flows",
    "gpuHours",
    "license",
    "modelDeploymentUnits",
    "pagePredictions",
    "productionWorkflowMinutes",
    "userMinutes",
    "users",
)


class PlanFileError(PagemillError):
    """A plan file that is not TOML, or defines an invalid plan; the message names the place."""


class PlanDefinition(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Version of a plan. A meter that ``allowed`` does not name is unlimited; a price of None is zero."""

    plan_id: Annotated[str, Meta(pattern=r"^las:plan:[a-z0-9-_]+$")]
    version: Annotated[int, Meta(ge=1, le=1_000_000)]
    name: Annotated[str, Meta(min_length=1, max_length=4096)]
    description: Annotated[str, Meta(max_length=4096)] | None = None
    organization_id: Annotated[str, Meta(pattern=r"^las:organization:[a-z0-9-_]+$")] | None = None
    """The only organization that sees the plan; None when all do."""
    available: bool = True
    currency: Currency = "EUR"
    limited_by: LimitedBy = "pages"
    allowed: dict[str, Annotated[int, Meta(ge=0, le=UNLIMITED)]] = {}
    active_models: Price | None = None
    field_predictions: Price | None = None
    flows: Price | None = None
    gpu_hours: Price | None = None
    license: Price | None = None
    model_deployment_units: Price | None = None
    page_predictions: Price | None = None
    production_workflow_minutes: Price | None = None
    user_minutes: Price | None = None
    users: Price | None = None

    @property
    def id(self) -> str:
        """Id of the version: ``las:plan:<slug>:<version>``."""
        return f"{self.plan_id}:{self.version}"

    def prices(self) -> dict[str, Price]:
        """Return the prices that the plan names, by the API's members."""
        members = {field.encode_name: field.name for field in msgspec.structs.fields(self)}
        named = {name: getattr(self, members[name]) for name in PRICES}
        return {name: price for name, price in named.items() if price is not None}


class _PlanFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    plans: list[PlanDefinition]


def parse_plans(text: str) -> list[PlanDefinition]:
    """Return the plans of a file. Raises PlanFileError, which names the first mistake."""
    if len(text) > LONGEST_FILE:
        raise PlanFileError(f"the file must not be longer than {LONGEST_FILE} characters")
    try:
        plans = msgspec.toml.decode(text, type=_PlanFile).plans
    except msgspec.ValidationError as error:
        raise PlanFileError(str(error)) from None
    except msgspec.DecodeError as error:
        raise PlanFileError(f"the file is not TOML: {error}") from None
    seen: set[str] = set()
    for plan in plans:
        if plan.id in seen:
            raise PlanFileError(f"{plan.id}: stands in the file twice")
        seen.add(plan.id)
        unknown = sorted(set(plan.allowed) - set(METERS))
        if unknown:
            raise PlanFileError(f"{plan.id}: allowed: {', '.join(unknown)}: known are {', '.join(METERS)}")
        for name, price in plan.prices().items():
            try:
                price.check(name)
            except PriceError as error:
                raise PlanFileError(f"{plan.id}: {error.message}") from None
    return plans


def definition_of(plan: PlanDefinition) -> dict[str, Any]:
    """Return the prices of a plan as the API's sub-objects, with numbers instead of strings."""
    return {name: _plain(msgspec.to_builtins(price)) for name, price in plan.prices().items()}


def prices_of(definition: dict[str, Any]) -> dict[str, Price]:
    """Return the prices in a row's sub-objects; one of another shape is left out."""
    prices = {}
    for name in PRICES:
        try:
            prices[name] = msgspec.convert(definition[name], Price)
        except (KeyError, msgspec.ValidationError):
            continue
    return prices


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if isinstance(value, str):
        number = Decimal(value)
        return int(number) if number == number.to_integral_value() else float(number)
    return value
