"""Events of the audit, and how they are recorded: in the transaction of what they tell of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from db.audit_events import Outcome, insert_audit_event
from db.statements import Connection
from pagemill.ids import AuditEventId, OrganizationId, PrincipalId, ProfileId, new_id

LONGEST_TEXT: Final = 512
"""Longest text of strangers in an event, like an id that is none; more of it is cut off."""

OPERATOR: Final = PrincipalId("operator")
"""Whoever runs the operator's commands."""


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done, or refused.

    ``action`` is the operation of the API (``createUser``), or another verb. An event without an organization
    is of before it was known, or of the operator, who then is the principal. ``details`` hold no secrets.
    """

    action: str
    outcome: Outcome = "succeeded"
    organization_id: OrganizationId | None = None
    principal_id: PrincipalId | None = None
    profile_id: ProfileId | None = None
    resource_id: str | None = None
    address: str | None = None
    request_id: str | None = None
    details: Mapping[str, Any] = {}


async def record(connection: Connection, event: AuditEvent) -> None:
    """Add an event in the caller's transaction, so that it is there exactly if its action is.

    The profile of a user is found where it is not given.
    """
    await insert_audit_event(
        connection,
        event_id=new_id(AuditEventId),
        organization_id=event.organization_id,
        principal_id=event.principal_id,
        profile_id=event.profile_id,
        action=event.action,
        resource_id=_cut(event.resource_id),
        outcome=event.outcome,
        address=_cut(event.address),
        request_id=_cut(event.request_id),
        details=dict(event.details),
    )


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:LONGEST_TEXT]
