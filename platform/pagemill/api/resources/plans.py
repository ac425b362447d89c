"""Plans: ``/plans`` (read only; operators define them)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import asyncpg
from litestar import Controller, Request, get
from litestar.params import Parameter

from db.organizations import GET_PLAN, LIST_PLANS
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.http.database import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import ResponseStruct
from pagemill.errors import NotFound

Owners = Annotated[list[str] | None, Parameter(query="owner")]

_PLAN_ID = re.compile(
    r"(?:(?P<owner>las:organization:[a-z0-9-_]+)/)?(?P<slug>las:plan:[a-z0-9-_]+)(?::@latest|:(?P<version>[0-9]{1,9}))?"
)


class Plan(ResponseStruct):
    """What an organization pays for; the parts are free objects, null where the plan says nothing."""

    plan_id: str
    name: str | None
    description: str | None
    organization_id: str | None
    available: bool
    currency: Literal["USD", "EUR", "NOK"]
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
    plans: list[Plan]
    next_token: str | None


def to_plan(row: asyncpg.Record) -> Plan:
    definition = row["definition"]
    return Plan(
        plan_id=row["id"],
        name=row["name"],
        description=row["description"],
        organization_id=row["organization_id"],
        available=row["available"],
        currency=row["currency"],
        latest=row["latest"],
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
    """The organizations that a filter names; ``me`` is the caller's."""
    return [caller.organization_id if one == "me" else one for one in owner] if owner else None


async def find_plan(connection: Connection, caller: Caller, plan_id: str) -> asyncpg.Record | None:
    """The plan of an id that may carry an organization before it, and a version or ``:@latest`` after it."""
    match = _PLAN_ID.fullmatch(plan_id)
    if match is None:
        return None
    version = int(match["version"]) if match["version"] else None
    row = await GET_PLAN.fetch_one(connection, caller.organization_id, match["slug"], version)
    if row is not None and match["owner"] not in (None, row["organization_id"]):
        return None
    return row


class PlanController(Controller):
    path = "/plans"
    tags = ("Plans",)

    @get()
    async def list_plans(
        self, caller: Caller, connection: RequestConnection, page: PageRequest, owner: Owners = None
    ) -> Plans:
        """The newest version of each plan."""
        rows = await LIST_PLANS.fetch(
            connection, caller.organization_id, owners_of(caller, owner), page.after[1], page.limit
        )
        shown, token = cut(rows, page)
        return Plans(plans=[to_plan(row) for row in shown], next_token=token)

    @get(["/{plan_id:str}", "/{owner_id:str}/{plan_id:str}"])
    async def get_plan(
        self, request: Request[Any, Any, Any], caller: Caller, connection: RequestConnection
    ) -> Plan:
        """The id may be prefixed by an organization and may end in a version or ``:@latest``."""
        plan_id = "/".join(str(part) for part in request.path_params.values())
        row = await find_plan(connection, caller, plan_id)
        if row is None:
            raise NotFound(f"Plan {plan_id} not found")
        return to_plan(row)
