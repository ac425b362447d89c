"""What the pages tell the audit trail: who signed in or tried to, how, and from where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from db.statements import Connection
from pagemill.api.http.request_ids import request_id_of
from pagemill.api.sign_in.visits import Visit
from pagemill.audit import AuditEvent, record
from pagemill.ids import OrganizationId, ProfileId

Action: TypeAlias = Literal[
    "sign-in",
    "sign-out",
    "sign-out-everywhere",
    "sign-up",
    "password-changed",
    "code-requested",
    "code-refused",
    "invitation-accepted",
]
Outcome: TypeAlias = Literal["success", "refused"]


async def tell(
    visit: Visit,
    connection: Connection,
    action: Action,
    *,
    outcome: Outcome = "success",
    profile_id: ProfileId | None = None,
    organization_id: OrganizationId | None = None,
    resource_id: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Record an event in the transaction of what it tells of. Passwords and codes are in no event."""
    await record(
        connection,
        AuditEvent(
            action=action,
            outcome=outcome,
            organization_id=organization_id,
            profile_id=profile_id,
            principal_id=None,
            resource_id=resource_id,
            address=visit.address,
            request_id=request_id_of(visit.request),
            details=dict(details or {}),
        ),
    )
