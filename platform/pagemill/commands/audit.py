"""``pagemill audit``: who did what, in all organizations."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pagemill.commands.options import (
    data_directory_option,
    json_option,
    print_json,
    printable,
    with_database,
)

if TYPE_CHECKING:
    from db.audit_events import AuditEventRow, Outcome
    from db.statements import Connection
    from pagemill.ids import OrganizationId, PrincipalId


@click.command()
@click.option("--organization", "organization_id", metavar="ID")
@click.option("--principal", "principal_id", metavar="ID", help="A user, an app client, or `operator`.")
@click.option("--resource", "resource_id", metavar="ID")
@click.option("--action", metavar="NAME", help="Like createUser.")
@click.option("--outcome", type=click.Choice(["succeeded", "refused"]))
@click.option("--since", type=click.DateTime(), help="In UTC.")
@click.option("--until", type=click.DateTime(), help="In UTC.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000))
@json_option
@data_directory_option
def audit(
    organization_id: OrganizationId | None,
    principal_id: PrincipalId | None,
    resource_id: str | None,
    action: str | None,
    outcome: Outcome | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
    data_dir: Path,
) -> None:
    """Show who did what to which resource, from where, the newest first.

    All that changes something is recorded, but for the daily work (documents, predictions and executions,
    which are recorded when they are deleted), and so are sign-ins and what is refused.
    """

    async def find(connection: Connection) -> list[AuditEventRow]:
        from db.audit_events import list_newest_audit_events

        return await list_newest_audit_events(
            connection,
            organization_id=organization_id,
            principal_id=principal_id,
            resource_id=resource_id,
            action=action,
            outcome=outcome,
            from_time=None if since is None else since.replace(tzinfo=UTC),
            to_time=None if until is None else until.replace(tzinfo=UTC),
            limit=limit,
        )

    events = with_database(data_dir, find)
    if as_json:
        print_json(events)
        return
    for event in events:
        click.echo(_line(event))


def _line(event: AuditEventRow) -> str:
    who = event.principal_id or event.profile_id or "somebody"
    parts = (f"{event.time:%Y-%m-%d %H:%M:%S}", who, event.action, event.resource_id or "", event.outcome)
    return printable("  ".join((*parts, f"from {event.address}" if event.address else "")).rstrip())
