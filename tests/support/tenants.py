"""Organizations that tests act in."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from db.app_clients import INSERT_APP_CLIENT
from db.organizations import INSERT_ORGANIZATION, UPSERT_PLAN
from db.statements import Connection
from pagemill.api.auth.client_credentials import hash_secret
from pagemill.usage.counting import count_freely


@dataclass(frozen=True, slots=True)
class Tenant:
    """A seeded organization with its plan and one confidential app client."""

    organization_id: str
    plan_id: str
    app_client_id: str
    client_id: str
    client_secret: str


async def create_tenant(
    connection: Connection, *, allowed: Mapping[str, float] | None = None, limited_by: str = "pages"
) -> Tenant:
    """A new organization; ``allowed`` are its plan's limits by meter, those not named are unlimited."""
    slug = uuid.uuid4().hex[:12]
    secret = secrets.token_urlsafe(16)
    tenant = Tenant(
        organization_id=f"las:organization:{slug}",
        plan_id=f"las:plan:{slug}:1",
        app_client_id=f"las:app-client:{slug}",
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
    await INSERT_APP_CLIENT.execute(
        connection,
        tenant.organization_id,
        tenant.app_client_id,
        tenant.client_id,
        hash_secret(secret),
        "Test client",
        None,
        {},
        [],
        None,
    )
    await count_freely(connection, tenant.organization_id, "app-clients")
    return tenant
