"""Sign-up: people who make an organization of their own."""

from __future__ import annotations

import contextlib

from db.mail import ADMIN
from db.organizations import DOCUMENT_RETENTION_IN_DAYS, OrganizationRow, insert_organization
from db.plans import find_plan
from db.profiles import OrganizationCreatorRow, count_organization_of_person
from db.statements import Connection
from db.users import insert_first_user
from pagemill.errors import LimitExceeded
from pagemill.ids import OrganizationId, PrincipalId, ProfileId, RoleId, UserId, new_id
from pagemill.people.accounts import find_person, list_choices
from pagemill.settings import SettingsError
from pagemill.usage.counting import count
from pagemill.usage.limits import limit_exceeded


async def found_organization(
    connection: Connection, profile_id: ProfileId, *, name: str | None, plan_slug: str
) -> OrganizationId:
    """Make an organization of which a person is the first user and the admin.

    Raises LimitExceeded when the profile allows no more, and SettingsError when there is no such plan.
    """
    person = await count_organization_of_person(connection, profile_id=profile_id)
    if person is None:
        raise limit_exceeded("organizations")
    row = await new_organization(connection, person, name=name, plan_slug=plan_slug)
    return row.id


async def new_organization(
    connection: Connection,
    person: OrganizationCreatorRow,
    *,
    name: str | None,
    plan_slug: str,
    created_by: PrincipalId | None = None,
) -> OrganizationRow:
    """Make an organization whose first user is a person; without ``created_by`` that user has made itself.

    Raises SettingsError when there is no such plan.
    """
    organization_id, user_id = new_id(OrganizationId), new_id(UserId)
    plan = await find_plan(connection, organization_id=organization_id, slug=plan_slug, version=None)
    if plan is None:
        raise SettingsError(f"PAGEMILL_NEW_ORGANIZATION_PLAN: there is no plan {plan_slug}")
    row = await insert_organization(
        connection,
        organization_id=organization_id,
        name=name,
        description=None,
        plan_id=plan.id,
        document_retention_in_days=DOCUMENT_RETENTION_IN_DAYS,
    )
    await insert_first_user(
        connection,
        organization_id=organization_id,
        user_id=user_id,
        email=person.email,
        profile_id=person.id,
        role_ids=[RoleId(ADMIN)],
        created_by=created_by or PrincipalId(user_id),
    )
    await count(connection, organization_id, "users")
    return row


async def found_first_organization(connection: Connection, profile_id: ProfileId, *, plan_slug: str) -> None:
    """Make an organization for a person who is in none and invited to none, and may make one."""
    person = await find_person(connection, profile_id=profile_id)
    if person is None or await list_choices(connection, person):
        return
    with contextlib.suppress(LimitExceeded):
        async with connection.transaction():
            await found_organization(connection, profile_id, name=None, plan_slug=plan_slug)
