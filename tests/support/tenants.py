"""Organizations that tests act in."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from db.app_clients import insert_app_client
from db.organizations import insert_organization
from db.plans import upsert_plan
from db.statements import Connection
from pagemill.client_credentials import hash_secret
from pagemill.ids import AppClientId, OrganizationId, PlanId
from pagemill.usage.counting import count_freely


@dataclass(frozen=True, slots=True)
class Tenant:
    """A seeded organization with its plan and one confidential app client."""

    organization_id: OrganizationId
    plan_id: PlanId
    app_client_id: AppClientId
    client_id: str
    client_secret: str


async def create_tenant(
    connection: Connection, *, allowed: Mapping[str, float] | None = None, limited_by: str = "pages"
) -> Tenant:
    """A new organization; ``allowed`` are its plan's limits by meter, those not named are unlimited."""
    slug = uuid.uuid4().hex[:12]
    secret = secrets.token_urlsafe(16)
    tenant = Tenant(
        organization_id=OrganizationId(f"las:organization:{slug}"),
        plan_id=PlanId(f"las:plan:{slug}:1"),
        app_client_id=AppClientId(f"las:app-client:{slug}"),
        client_id=uuid.uuid4().hex,
        client_secret=secret,
    )
    await upsert_plan(
        connection,
        plan_id=tenant.plan_id,
        slug=f"las:plan:{slug}",
        version=1,
        organization_id=None,
        name="Test plan",
        description=None,
        available=True,
        currency="EUR",
        limited_by=limited_by,
        definition={},
        allowed=dict(allowed or {}),
    )
    await insert_organization(
        connection,
        organization_id=tenant.organization_id,
        name="Test organization",
        description=None,
        plan_id=tenant.plan_id,
        document_retention_in_days=1825,
    )
    await insert_app_client(
        connection,
        organization_id=tenant.organization_id,
        app_client_id=tenant.app_client_id,
        client_id=tenant.client_id,
        secret_hash=hash_secret(secret),
        name="Test client",
        description=None,
        configuration={},
        role_ids=[],
        created_by=None,
    )
    await count_freely(connection, tenant.organization_id, "app-clients")
    return tenant
