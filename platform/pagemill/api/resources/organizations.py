"""Organizations, with their usage and its limits: ``/organizations``."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, get, patch, post
from msgspec import UNSET, Meta, UnsetType

from db import organizations as statements
from db.organizations import OrganizationRow
from db.payment_methods import keep_payment_method
from db.profiles import count_created_organization
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.api.auth.requested_resources import OWN
from pagemill.api.auth.tokens import is_user
from pagemill.api.http.app_state import AppState
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import RequestStruct, ResponseStruct, Text, require_members, timestamp
from pagemill.api.resources.plans import find_visible_plan
from pagemill.errors import BadRequest, Forbidden, NotFound
from pagemill.ids import OrganizationId, PaymentMethodId, PlanId
from pagemill.people.sign_up import new_organization
from pagemill.usage.limits import limit_exceeded
from pagemill.usage.meters import Meter
from pagemill.usage.organization_usage import OrganizationUsage, usage_of, usage_of_many

ValidPlanId = Annotated[
    str,
    Meta(pattern=r"^(|las:organization:[a-z0-9-_]+/)las:plan:[a-z0-9-_]+(|:@[a-z0-9-_]+|:[0-9]+)$"),
]

ValidPaymentMethodId = Annotated[PaymentMethodId, Meta(pattern=r"^las:payment-method:[a-f0-9]{32}$")]


class PostOrganization(RequestStruct):
    """A new organization."""

    name: Text | None = None


class PatchOrganization(RequestStruct):
    """Changes of an organization; null clears name, description and paymentMethodId."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    plan_id: ValidPlanId | UnsetType = UNSET
    payment_method_id: ValidPaymentMethodId | UnsetType | None = UNSET


class Organization(ResponseStruct, kw_only=True):
    """An organization, with its use of this month (UTC) and of what exists, each beside its limit."""

    organization_id: OrganizationId
    name: str | None
    description: str | None
    plan_id: PlanId | None
    payment_method_id: PaymentMethodId | None
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
    """A page of organizations."""

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


def counters(usage: OrganizationUsage) -> dict[str, Any]:
    """Return all counters and limits by the members of Organization."""
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


def to_organization(row: OrganizationRow, usage: OrganizationUsage) -> Organization:
    """Return an organization as the API shows it."""
    return Organization(
        organization_id=row.id,
        name=row.name,
        description=row.description,
        plan_id=row.plan_id,
        payment_method_id=row.payment_method_id,
        document_retention_in_days=row.document_retention_in_days,
        client_id=row.client_id,
        created_time=timestamp(row.created_time),
        updated_time=timestamp(row.updated_time),
        updated_by=row.updated_by,
        **counters(usage),
    )


class OrganizationController(Controller):
    """Operations on organizations."""

    path = "/organizations"
    tags = ("Organizations",)

    @post(status_code=200, transaction="request")
    async def create_organization(
        self, data: PostOrganization, caller: Caller, connection: RequestConnection, app_state: AppState
    ) -> Organization:
        """Create an organization.

        The user who calls becomes its first user, with the role `las:role:admin`. The new organization is on
        the plan that the operator has chosen for new organizations. An app client cannot create organizations
        and gets status 403. When the user has created as many as its profile allows
        (`numberOfOrganizationsAllowed`), the answer is status 429 with the message `Limit Exceeded`.
        """
        if not is_user(caller):
            raise Forbidden
        async with connection.transaction():
            row = await _create(connection, caller, data.name, app_state.settings.new_organization_plan)
            usage = await usage_of(connection, row.id)
        return to_organization(row, usage)

    @get()
    async def list_organizations(
        self, caller: Caller, connection: RequestConnection, page: PageRequest
    ) -> Organizations:
        """List the organizations that the caller may use.

        An app client belongs to one organization. For a user the list also has the other organizations in
        which the same person is an active user. Each organization comes with its usage of this month and its
        limits.
        """
        rows = await statements.list_organizations(
            connection,
            organization_id=caller.organization_id,
            principal_id=caller.principal_id,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page)
        usages = await usage_of_many(connection, [row.id for row in shown])
        organizations = [to_organization(row, usages[row.id]) for row in shown]
        return Organizations(organizations=organizations, next_token=token)

    @get("/{organization_id:str}")
    async def get_organization(
        self, organization_id: OrganizationId, caller: Caller, connection: RequestConnection
    ) -> Organization:
        """Get an organization with its usage and limits.

        `me` stands for the organization that the token acts for; a user may also name another organization of
        the list. Each `...Created` or `...Used` stands beside the `...Allowed` of the plan. Members that
        begin with `monthly` count the current calendar month in UTC, the others what exists now. A limit of
        2000000000 means that the plan does not limit it. The plan limits either pages or fields of
        predictions: the other of the two is counted without a limit.
        """
        return await _read(connection, caller, organization_id)

    @patch("/{organization_id:str}")
    async def update_organization(
        self,
        organization_id: OrganizationId,
        data: PatchOrganization,
        caller: Caller,
        connection: RequestConnection,
    ) -> Organization:
        """Update an organization.

        Name, description, plan and payment method can be changed. Only the organization that the token acts
        for can be changed; another one that the caller may use is answered with status 403. A `planId`
        without a version means the newest version; the new limits hold at once, and what was used this month
        stays counted. A plan or payment method that does not exist, or a plan that is not `available`, gets
        status 400.
        """
        if organization_id not in (OWN, caller.organization_id):
            await _read(connection, caller, organization_id)
            raise Forbidden
        require_members(data)
        async with connection.transaction():
            plan_id = await _checked_plan(connection, caller, data.plan_id)
            await _hold_payment_method(connection, caller, data.payment_method_id)
            await statements.update_organization(
                connection,
                organization_id=caller.organization_id,
                name=data.name,
                description=data.description,
                plan_id=plan_id,
                payment_method_id=data.payment_method_id,
                updated_by=caller.principal_id,
            )
        return await _read(connection, caller, caller.organization_id)


async def _create(
    connection: Connection, caller: Caller, name: str | None, plan_slug: str
) -> OrganizationRow:
    """Insert an organization with its first user.

    Raises LimitExceeded when the user's profile allows no more, SettingsError when there is no such plan.
    """
    person = await count_created_organization(
        connection, organization_id=caller.organization_id, user_id=caller.principal_id
    )
    if person is None:
        raise limit_exceeded("organizations")
    return await new_organization(
        connection, person, name=name, plan_slug=plan_slug, created_by=caller.principal_id
    )


async def _checked_plan(
    connection: Connection, caller: Caller, plan_id: str | UnsetType
) -> PlanId | UnsetType:
    """Return the id of the version that a plan id means. Raises BadRequest."""
    if plan_id is UNSET:
        return UNSET
    plan = await find_visible_plan(connection, caller, plan_id)
    if plan is None or not plan.available:
        raise BadRequest(f"planId: plan {plan_id} does not exist")
    return plan.id


async def _hold_payment_method(
    connection: Connection, caller: Caller, payment_method_id: PaymentMethodId | UnsetType | None
) -> None:
    """Keep a payment method from being deleted until the transaction ends. Raises BadRequest."""
    if payment_method_id is UNSET or payment_method_id is None:
        return
    if not await keep_payment_method(
        connection, organization_id=caller.organization_id, payment_method_id=payment_method_id
    ):
        raise BadRequest(f"paymentMethodId: payment method {payment_method_id} does not exist")


async def _read(connection: Connection, caller: Caller, organization_id: OrganizationId) -> Organization:
    """Return an organization that the caller may use. Raises NotFound."""
    wanted_id = caller.organization_id if organization_id == OWN else organization_id
    row = await statements.find_organization(
        connection,
        organization_id=caller.organization_id,
        principal_id=caller.principal_id,
        wanted_id=wanted_id,
    )
    if row is None:
        raise NotFound(f"Organization {organization_id} not found")
    return to_organization(row, await usage_of(connection, wanted_id))
