"""Plans: ``/plans``. They are read only: operators define them with ``pagemill plans apply``."""

from __future__ import annotations

import re
from typing import Annotated, Any, cast

from litestar import Controller, get
from litestar.params import Parameter

from db import plans as statements
from db.plans import PlanRow
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.requests import ApiRequest
from pagemill.api.http.schemas import ResponseStruct
from pagemill.errors import NotFound
from pagemill.ids import OrganizationId, PlanId
from pagemill.usage.pricing import Currency

Owners = Annotated[list[str] | None, Parameter(query="owner")]

_PLAN_ID = re.compile(
    r"(?:(?P<owner>las:organization:[a-z0-9-_]+)/)?(?P<slug>las:plan:[a-z0-9-_]+)(?::@latest|:(?P<version>[0-9]{1,9}))?"
)


class Plan(ResponseStruct):
    """A version of a plan. Each price is an object, or null when the plan has no such price."""

    plan_id: PlanId
    name: str | None
    description: str | None
    organization_id: OrganizationId | None
    available: bool
    currency: Currency
    latest: int
    active_models: dict[str, Any] | None = None
    field_predictions: dict[str, Any] | None = None
    flows: dict[str, Any] | None = None
    gpu_hours: dict[str, Any] | None = None
    license: dict[str, Any] | None = None
    model_deployment_units: dict[str, Any] | None = None
    page_predictions: dict[str, Any] | None = None
    production_workflow_minutes: dict[str, Any] | None = None
    user_minutes: dict[str, Any] | None = None
    users: dict[str, Any] | None = None


class Plans(ResponseStruct):
    """A page of plans."""

    plans: list[Plan]
    next_token: str | None


def to_plan(row: PlanRow) -> Plan:
    """Return a plan as the API shows it."""
    definition = row.definition
    return Plan(
        plan_id=row.id,
        name=row.name,
        description=row.description,
        organization_id=row.organization_id,
        available=row.available,
        currency=cast("Currency", row.currency),
        latest=row.latest,
        active_models=definition.get("activeModels"),
        field_predictions=definition.get("fieldPredictions"),
        flows=definition.get("flows"),
        gpu_hours=definition.get("gpuHours"),
        license=definition.get("license"),
        model_deployment_units=definition.get("modelDeploymentUnits"),
        page_predictions=definition.get("pagePredictions"),
        production_workflow_minutes=definition.get("productionWorkflowMinutes"),
        user_minutes=definition.get("userMinutes"),
        users=definition.get("users"),
    )


def owners_of(caller: Caller, owner: list[str] | None) -> list[str] | None:
    """Return the organizations that a filter names; ``me`` is the caller's."""
    return [caller.organization_id if one == "me" else one for one in owner] if owner else None


async def find_visible_plan(connection: Connection, caller: Caller, plan_id: str) -> PlanRow | None:
    """Return the plan that an id means; None when the caller cannot see it.

    An organization and a slash may come before the id, a version or ``:@latest`` after it.
    """
    match = _PLAN_ID.fullmatch(plan_id)
    if match is None:
        return None
    row = await statements.find_plan(
        connection,
        organization_id=caller.organization_id,
        slug=match["slug"],
        version=int(match["version"]) if match["version"] else None,
    )
    if row is not None and match["owner"] not in (None, row.organization_id):
        return None
    return row


class PlanController(Controller):
    """Operations on plans."""

    path = "/plans"
    tags = ("Plans",)

    @get()
    async def list_plans(
        self, caller: Caller, connection: RequestConnection, page: PageRequest, owner: Owners = None
    ) -> Plans:
        """List the newest version of each plan.

        The list has the plans that everybody may use and those that were made for the caller's organization.
        Plans that are not `available` are listed as well, but an organization cannot change to them.
        """
        rows = await statements.list_plans(
            connection,
            organization_id=caller.organization_id,
            owner_ids=owners_of(caller, owner),
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page)
        return Plans(plans=[to_plan(row) for row in shown], next_token=token)

    @get(["/{plan_id:str}", "/{owner_id:str}/{plan_id:str}"])
    async def get_plan(self, request: ApiRequest, caller: Caller, connection: RequestConnection) -> Plan:
        """Get a plan.

        The id may end in a version (`las:plan:pro:2`) or in `:@latest`; without either the newest version is
        meant, whose number is `latest`. The id of the organization that the plan was made for may come first,
        with a slash. A plan that was made for another organization is answered like an unknown one, with
        status 404. Each price says how many units are `included`, and the `price` of each further `unitSize`,
        or its `tiers`; amounts are in the plan's `currency`.
        """
        plan_id = "/".join(str(part) for part in request.path_params.values())
        row = await find_visible_plan(connection, caller, plan_id)
        if row is None:
            raise NotFound(f"Plan {plan_id} not found")
        return to_plan(row)
