"""REST resource ``/auditEvents`` (read only): who did what to which resource, from where."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Controller, get
from litestar.params import Parameter
from msgspec import UNSET, UnsetType

from db import audit_events as statements
from db.audit_events import Outcome
from db.keyset import Order
from pagemill.api.auth.guard import Caller
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import ResponseStruct, timestamp
from pagemill.api.http.timestamps import parse_time
from pagemill.ids import AuditEventId, PrincipalId, ProfileId

LONGEST: Final = 512

PrincipalFilter = Annotated[PrincipalId | None, Parameter(query="principalId", max_length=LONGEST)]
ResourceFilter = Annotated[str | None, Parameter(query="resourceId", max_length=LONGEST)]
ActionFilter = Annotated[str | None, Parameter(max_length=LONGEST)]
FromTime = Annotated[str | None, Parameter(query="fromTime")]
ToTime = Annotated[str | None, Parameter(query="toTime")]


class AuditEvent(ResponseStruct):
    """Something that was done or refused; ``principalId`` is null before somebody has signed in."""

    audit_event_id: AuditEventId
    time: str | None
    action: str
    outcome: str
    principal_id: PrincipalId | None
    profile_id: ProfileId | None
    resource_id: str | None
    address: str | None
    request_id: str | None
    details: dict[str, Any]


class AuditEvents(ResponseStruct):
    """A page of audit events."""

    audit_events: list[AuditEvent]
    next_token: str | None
    order: Order | UnsetType = UNSET


def to_audit_event(row: statements.AuditEventRow) -> AuditEvent:
    """Return an audit event as the API shows it."""
    return AuditEvent(
        audit_event_id=row.id,
        time=timestamp(row.time),
        action=row.action,
        outcome=row.outcome,
        principal_id=row.principal_id,
        profile_id=row.profile_id,
        resource_id=row.resource_id,
        address=row.address,
        request_id=row.request_id,
        details=row.details,
    )


class AuditEventController(Controller):
    """Operations on audit events."""

    path = "/auditEvents"
    tags = ("Audit events",)

    @get()
    async def list_audit_events(
        self,
        caller: Caller,
        connection: RequestConnection,
        page: PageRequest,
        principal_id: PrincipalFilter = None,
        resource_id: ResourceFilter = None,
        action: ActionFilter = None,
        outcome: Outcome | None = None,
        from_time: FromTime = None,
        to_time: ToTime = None,
        order: Order | None = None,
    ) -> AuditEvents:
        """List what was done in the organization.

        The oldest events come first, unless `order` is `descending`.

        An event tells who (`principalId`, and `profileId` of a user) did what (`action`, like `createUser`)
        to which resource, from which address, in which request, and its `outcome`: `succeeded` or `refused`.
        All operations that change something are there, except the daily work: documents, predictions and
        executions are only there when they are deleted. Sign-ins are there too. Refusals that are alike are
        one event, with the number of requests in its `details`.

        An event has to meet all filters that are sent. Events are kept for a time that the operator sets (400
        days) and cannot be changed. Members and validators cannot read them (403).

        This operation goes beyond the reference API.
        """
        rows = await statements.list_audit_events(
            connection,
            order=order or "ascending",
            organization_id=caller.organization_id,
            principal_id=principal_id,
            resource_id=resource_id,
            action=action,
            outcome=outcome,
            from_time=None if from_time is None else parse_time(from_time, "fromTime"),
            to_time=None if to_time is None else parse_time(to_time, "toTime"),
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page, by="time")
        events = [to_audit_event(row) for row in shown]
        return AuditEvents(audit_events=events, next_token=token, order=order or UNSET)
