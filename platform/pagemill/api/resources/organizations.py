"""Organizations, with what they have used and may use: ``/organizations``."""

from __future__ import annotations

from typing import Annotated, Any

import asyncpg
from litestar import Controller, get, patch, post
from msgspec import UNSET, Meta, UnsetType

from db.organizations import (
    FIND_ORGANIZATION,
    GET_PLAN,
    INSERT_ORGANIZATION,
    LIST_ORGANIZATIONS,
    UPDATE_ORGANIZATION,
)
from db.payment_methods import KEEP_PAYMENT_METHOD
from db.profiles import count_created_organization
from db.statements import Connection
from db.users import insert_first_user
from pagemill.api.auth.guard import Caller
from pagemill.api.auth.resource_ids import OWN
from pagemill.api.auth.seeded_roles import ADMIN
from pagemill.api.auth.tokens import is_user
from pagemill.api.http.database import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import RequestStruct, ResponseStruct, Text, change, require_members, timestamp
from pagemill.api.http.state import AppState
from pagemill.api.resources.plans import find_plan
from pagemill.errors import BadRequest, Forbidden, NotFound
from pagemill.ids import OrganizationId, UserId, new_id
from pagemill.settings import SettingsError
from pagemill.usage.counting import Usage, count, limit_exceeded, usage_of, usage_of_many
from pagemill.usage.meters import Meter

DOCUMENT_RETENTION_IN_DAYS = 1825

ValidPlanId = Annotated[
    str,
    Meta(pattern=r"^(|las:organization:[a-z0-9-_]+/)las:plan:[a-z0-9-_]+(|:@[a-z0-9-_]+|:[0-9]+)$"),
]

ValidPaymentMethodId = Annotated[str, Meta(pattern=r"^las:payment-method:[a-f0-9]{32}$")]


class PostOrganization(RequestStruct):
    name: Text | None = None


class PatchOrganization(RequestStruct):
    """null clears name, description and paymentMethodId."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    plan_id: ValidPlanId | UnsetType = UNSET
    payment_method_id: ValidPaymentMethodId | UnsetType | None = UNSET


class Organization(ResponseStruct, kw_only=True):
    """Counters of this month (UTC) and of what exists, each beside its limit."""

    organization_id: str
    name: str | None
    description: str | None
    plan_id: str | None
    payment_method_id: str | None
    document_retention_in_days: int
    client_id: str | None
    created_time: str | None
    updated_time: str | None
    updated_by: str | None
    monthly_number_of_documents_created: int
    monthly_number_of_documents_allowed: int
    monthly_number_of_predictions_created: int
    monthly_number_of_predictions_allowed: int
    monthly_number_of_page_predictions_used: int
    monthly_number_of_page_predictions_allowed: int
    monthly_number_of_field_predictions_used: int
    monthly_number_of_field_predictions_allowed: int
    monthly_number_of_active_models_used: int
    monthly_number_of_data_bundles_created: int
    monthly_number_of_data_bundles_allowed: int
    monthly_number_of_trainings_created: int
    monthly_number_of_trainings_allowed: int
    monthly_number_of_transformations_created: int
    monthly_number_of_transformations_allowed: int
    monthly_number_of_workflow_executions_created: int
    monthly_number_of_workflow_executions_allowed: int
    monthly_number_of_transition_executions_created: int
    monthly_number_of_transition_executions_allowed: int
    monthly_number_of_gpu_hours_used: float
    monthly_number_of_model_deployment_units_used: int = 0
    monthly_number_of_production_workflow_minutes_used: int
    monthly_number_of_user_minutes_used: float
    monthly_usage_summary: dict[str, Any]
    number_of_app_clients_created: int
    number_of_app_clients_allowed: int
    number_of_assets_created: int
    number_of_assets_allowed: int
    number_of_datasets_created: int
    number_of_datasets_allowed: int
    number_of_models_created: int
    number_of_models_allowed: int
    number_of_secrets_created: int
    number_of_secrets_allowed: int
    number_of_transitions_created: int
    number_of_transitions_allowed: int
    number_of_users_created: int
    number_of_users_allowed: int
    number_of_workflows_created: int
    number_of_workflows_allowed: int


class Organizations(ResponseStruct):
    organizations: list[Organization]
    next_token: str | None


CREATED: dict[str, Meter] = {
    "monthly_number_of_documents": "documents",
    "monthly_number_of_predictions": "predictions",
    "monthly_number_of_data_bundles": "data-bundles",
    "monthly_number_of_trainings": "trainings",
    "monthly_number_of_transformations": "transformations",
    "monthly_number_of_workflow_executions": "workflow-executions",
    "monthly_number_of_transition_executions": "transition-executions",
    "number_of_app_clients": "app-clients",
    "number_of_assets": "assets",
    "number_of_datasets": "datasets",
    "number_of_models": "models",
    "number_of_secrets": "secrets",
    "number_of_transitions": "transitions",
    "number_of_users": "users",
    "number_of_workflows": "workflows",
}
"""The meter behind each pair of ``...Created`` and ``...Allowed``."""


def counters(usage: Usage) -> dict[str, Any]:
    """All counters by the members of Organization."""
    used, allowed = usage.used, usage.allowed
    values: dict[str, Any] = {f"{name}_created": int(used[meter]) for name, meter in CREATED.items()}
    values |= {f"{name}_allowed": int(allowed[meter]) for name, meter in CREATED.items()}
    return values | {
        "monthly_number_of_page_predictions_used": int(used["pages"]),
        "monthly_number_of_page_predictions_allowed": int(allowed["pages"]),
        "monthly_number_of_field_predictions_used": int(used["fields"]),
        "monthly_number_of_field_predictions_allowed": int(allowed["fields"]),
        "monthly_number_of_active_models_used": int(used["active-models"]),
        "monthly_number_of_gpu_hours_used": float(used["gpu-hours"]),
        "monthly_number_of_production_workflow_minutes_used": int(used["production-workflow-minutes"]),
        "monthly_number_of_user_minutes_used": float(used["user-minutes"]),
        "monthly_usage_summary": {"trainingsCreated": int(used["trainings"])},
    }


def to_organization(row: asyncpg.Record, usage: Usage) -> Organization:
    return Organization(
        organization_id=row["id"],
        name=row["name"],
        description=row["description"],
        plan_id=row["plan_id"],
        payment_method_id=row["payment_method_id"],
        document_retention_in_days=row["document_retention_in_days"],
        client_id=row["client_id"],
        created_time=timestamp(row["created_time"]),
        updated_time=timestamp(row["updated_time"]),
        updated_by=row["updated_by"],
        **counters(usage),
    )


class OrganizationController(Controller):
    path = "/organizations"
    tags = ("Organizations",)

    @post(status_code=200)
    async def create_organization(
        self, data: PostOrganization, caller: Caller, connection: RequestConnection, app_state: AppState
    ) -> Organization:
        """A user's person becomes the admin of the new one; an app client has no person."""
        if not is_user(caller):
            raise Forbidden
        async with connection.transaction():
            row = await _found(connection, caller, data.name, app_state.settings.new_organization_plan)
            usage = await usage_of(connection, row["id"])
        return to_organization(row, usage)

    @get()
    async def list_organizations(
        self, caller: Caller, connection: RequestConnection, page: PageRequest
    ) -> Organizations:
        """An app client's one; a user's own and the others that its person is an active user of."""
        rows = await LIST_ORGANIZATIONS.fetch(
            connection, caller.organization_id, caller.principal_id, *page.after, page.limit
        )
        shown, token = cut(rows, page)
        usages = await usage_of_many(connection, [row["id"] for row in shown])
        organizations = [to_organization(row, usages[row["id"]]) for row in shown]
        return Organizations(organizations=organizations, next_token=token)

    @get("/{organization_id:str}")
    async def get_organization(
        self, organization_id: str, caller: Caller, connection: RequestConnection
    ) -> Organization:
        """One of those that are listed; ``me`` is the one that the caller acts in."""
        return await _read(connection, caller, organization_id)

    @patch("/{organization_id:str}")
    async def update_organization(
        self, organization_id: str, data: PatchOrganization, caller: Caller, connection: RequestConnection
    ) -> Organization:
        """Only the one that the caller acts in: what it may do in the others is not known here."""
        if organization_id not in (OWN, caller.organization_id):
            await _read(connection, caller, organization_id)
            raise Forbidden
        require_members(data)
        async with connection.transaction():
            plan_id = await _checked_plan(connection, caller, data.plan_id)
            await _hold_payment_method(connection, caller, data.payment_method_id)
            await UPDATE_ORGANIZATION.fetch_one(
                connection,
                caller.organization_id,
                *change(data.name),
                *change(data.description),
                *change(plan_id),
                *change(data.payment_method_id),
                caller.principal_id,
            )
        return await _read(connection, caller, OWN)


async def _found(connection: Connection, caller: Caller, name: str | None, plan_slug: str) -> asyncpg.Record:
    """A new organization with its first user, within what the person's profile allows.

    Raises LimitExceeded, and SettingsError when there is no such plan.
    """
    person = await count_created_organization(
        connection, organization_id=caller.organization_id, user_id=caller.principal_id
    )
    if person is None:
        raise limit_exceeded("organizations")
    organization_id = new_id(OrganizationId)
    plan = await GET_PLAN.fetch_one(connection, organization_id, plan_slug, None)
    if plan is None:
        raise SettingsError(f"PAGEMILL_NEW_ORGANIZATION_PLAN: there is no plan {plan_slug}")
    row = await INSERT_ORGANIZATION.fetch_one(
        connection, organization_id, name, None, plan["id"], DOCUMENT_RETENTION_IN_DAYS
    )
    await insert_first_user(
        connection,
        organization_id=organization_id,
        user_id=new_id(UserId),
        email=person.email,
        profile_id=person.id,
        role_ids=[ADMIN],
        created_by=caller.principal_id,
    )
    await count(connection, organization_id, "users")
    assert row is not None
    return row


async def _checked_plan(connection: Connection, caller: Caller, plan_id: str | UnsetType) -> str | UnsetType:
    """The id of the plan's version that is meant. Raises BadRequest."""
    if plan_id is UNSET:
        return UNSET
    row = await find_plan(connection, caller, plan_id)
    if row is None or not row["available"]:
        raise BadRequest(f"planId: plan {plan_id} does not exist")
    return str(row["id"])


async def _hold_payment_method(
    connection: Connection, caller: Caller, payment_method_id: str | UnsetType | None
) -> None:
    """Keep it from being deleted until the transaction ends. Raises BadRequest."""
    if isinstance(payment_method_id, str) and not await KEEP_PAYMENT_METHOD.fetch_value(
        connection, caller.organization_id, payment_method_id
    ):
        raise BadRequest(f"paymentMethodId: payment method {payment_method_id} does not exist")


async def _read(connection: Connection, caller: Caller, organization_id: str) -> Organization:
    wanted = caller.organization_id if organization_id == OWN else organization_id
    row = await FIND_ORGANIZATION.fetch_one(connection, caller.organization_id, caller.principal_id, wanted)
    if row is None:
        raise NotFound(f"Organization {organization_id} not found")
    return to_organization(row, await usage_of(connection, wanted))
