"""Organizations that tests act in."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from db.app_clients import insert_app_client
from db.organizations import INSERT_ORGANIZATION, UPSERT_PLAN
from db.statements import Connection
from pagemill.api.auth.client_credentials import hash_secret
from pagemill.ids import AppClientId, OrganizationId
from pagemill.usage.counting import count_freely


@dataclass(frozen=True, slots=True)
class Tenant:
    """A seeded organization with its plan and one confidential app client."""

    organization_id: OrganizationId
    plan_id: str
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
        plan_id=f"las:plan:{slug}:1",
        app_client_id=AppClientId(f"las:app-client:{slug}"),
        client_id=uuid.uuid4().hex,
        client_secret=secret,
    )
    await UPSERT_PLAN.execute(
        connection,
        tenant.plan_id,
        f"las:plan:{slug}",
        1,
        None,
        "Test plan",
        None,
        True,
        "EUR",
        limited_by,
        {},
        dict(allowed or {}),
    )
    await INSERT_ORGANIZATION.execute(
        connection, tenant.organization_id, "Test organization", None, tenant.plan_id, 1825
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
