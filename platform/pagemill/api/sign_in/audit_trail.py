"""Events of the pages for the audit: who signed in or tried to, how, and from where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from db.audit_events import Outcome
from db.statements import Connection
from pagemill.api.http.request_ids import request_id_of
from pagemill.api.sign_in.visits import Visit
from pagemill.audit.events import AuditEvent, record
from pagemill.ids import OrganizationId, ProfileId

Action: TypeAlias = Literal[
    "signIn",
    "signOut",
    "signOutEverywhere",
    "signUp",
    "changePassword",
    "requestCode",
    "tryCode",
    "acceptInvitation",
]


async def tell(
    visit: Visit,
    connection: Connection,
    action: Action,
    *,
    outcome: Outcome = "succeeded",
    profile_id: ProfileId | None = None,
    organization_id: OrganizationId | None = None,
    resource_id: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Record an event in the transaction of what it tells of. Passwords and codes are in no event.

    Its organization is that of the app for which somebody signs in, unless it is another one.
    """
    asked = visit.asked
    if organization_id is None and asked is not None and not asked.spans_organizations:
        organization_id = asked.organization_id
    await record(
        connection,
        AuditEvent(
            action=action,
            outcome=outcome,
            organization_id=organization_id,
            profile_id=profile_id,
            resource_id=resource_id,
            address=visit.address,
            request_id=request_id_of(visit.request),
            details=dict(details or {}),
        ),
    )
