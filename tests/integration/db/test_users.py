"""Users and their invitations, the people behind them, app clients, roles and permissions."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from msgspec import UNSET

from db.app_clients import (
    AppClientCredentialsRow,
    delete_app_client,
    exchange_secret,
    find_app_client,
    find_app_client_id,
    get_app_client,
    insert_app_client,
    update_app_client,
)
from db.principals import PrincipalRow, find_principal
from db.profiles import (
    OrganizationCreatorRow,
    PublicProfileRow,
    count_created_organization,
    get_own_profile,
    get_public_profile,
    update_own_profile,
)
from db.roles import find_roles, get_role, list_roles, upsert_role
from db.statements import Connection
from db.token_grants import end_token_grant
from db.users import UserRow, delete_user, get_user, insert_first_user, invite_user
from pagemill.ids import AppClientId, GrantId, OrganizationId, PrincipalId, ProfileId, RoleId, UserId
from tests.support.everything import insert
from tests.support.people import Person, add_role, add_user
from tests.support.tenants import Tenant
from tests.support.tokens import add_grant

pytestmark = pytest.mark.asyncio(loop_scope="module")

USER, ADA = UserId("las:user:1"), PrincipalId("ada")
EMAIL = "bob@example.com"


async def invite(connection: Connection, own: dict[str, Any], user_id: str = USER) -> UserRow | None:
    return await invite_user(
        connection,
        **own,
        user_id=UserId(user_id),
        email=EMAIL,
        app_client_id=None,
        metadata={"team": "a"},
        role_ids=[RoleId("las:role:viewer")],
        valid_days=7,
        invited_by=ADA,
    )


async def test_an_invitation_is_valid_for_some_days(
    connection: Connection, own: dict[str, Any], now: datetime
) -> None:
    row = await invite(connection, own)
    assert row == UserRow(
        id=USER,
        profile_id=None,
        status="invite_pending",
        metadata={"team": "a"},
        role_ids=[RoleId("las:role:viewer")],
        created_time=now,
        created_by=ADA,
        updated_time=None,
        updated_by=None,
    )
    assert await get_user(connection, **own, user_id=USER) == row
    expires = await connection.fetchval("SELECT invitation_expires FROM organization_user")
    assert expires == now + timedelta(days=7)


@pytest.mark.parametrize(
    ("status", "expired_for", "is_renewed", "shown"),
    [
        ("invite_pending", timedelta(0), True, "inactive"),
        ("invite_pending", timedelta(microseconds=-1), True, "invite_pending"),
        ("active", timedelta(days=1), False, "active"),
        ("inactive", timedelta(days=1), False, "inactive"),
    ],
)
async def test_an_invitation_that_was_not_accepted_is_renewed_and_the_user_keeps_its_id(
    connection: Connection,
    own: dict[str, Any],
    now: datetime,
    status: str,
    expired_for: timedelta,
    is_renewed: bool,
    shown: str,
) -> None:
    expires = now - expired_for
    values = {"email": EMAIL, "status": status, "invitation_expires": expires, "role_ids": ["las:role:old"]}
    await insert(connection, "organization_user", **own, id=USER, **values)
    user = await get_user(connection, **own, user_id=USER)
    assert user is not None
    assert user.status == shown
    row = await invite(connection, own, "another id")
    assert (row is not None) == is_renewed
    user = await get_user(connection, **own, user_id=USER)
    assert user is not None
    assert user.role_ids == (["las:role:viewer"] if is_renewed else ["las:role:old"])
    if is_renewed:
        assert row == user
        assert (user.status, user.updated_by, user.created_by) == ("invite_pending", ADA, None)


async def test_two_organizations_invite_one_address(
    connection: Connection, own: dict[str, Any], theirs: Tenant
) -> None:
    assert await invite(connection, own)
    assert await invite(connection, {"organization_id": theirs.organization_id}, "their user")
    assert await get_user(connection, **own, user_id=UserId("their user")) is None


async def test_a_user_is_deleted_once(connection: Connection, own: dict[str, Any]) -> None:
    invited = await invite(connection, own)
    assert await delete_user(connection, **own, user_id=USER) == invited
    assert await delete_user(connection, **own, user_id=USER) is None


async def test_the_first_user_of_an_organization_is_active(
    connection: Connection, own: dict[str, Any]
) -> None:
    person = await add_user(connection, own["organization_id"])
    await connection.execute("DELETE FROM organization_user")
    await insert_first_user(
        connection,
        **own,
        user_id=USER,
        email=person.email,
        profile_id=person.profile_id,
        role_ids=[RoleId("las:role:admin")],
        created_by=ADA,
    )
    user = await get_user(connection, **own, user_id=USER)
    assert user is not None
    assert (user.status, user.profile_id, user.role_ids) == ("active", person.profile_id, ["las:role:admin"])


@pytest_asyncio.fixture(loop_scope="module")
async def person(connection: Connection, own: dict[str, Any]) -> Person:
    return await add_user(connection, own["organization_id"])


async def test_a_person_sees_all_of_its_profile_and_others_see_a_part(
    connection: Connection, own: dict[str, Any], theirs: Tenant, person: Person
) -> None:
    profile = await get_own_profile(connection, **own, user_id=PrincipalId(person.user_id))
    assert profile is not None
    assert (profile.id, profile.email, profile.given_name) == (person.profile_id, person.email, "Ada")
    named = {"profile_id": person.profile_id}
    public = await get_public_profile(connection, **own, **named)
    assert public == PublicProfileRow(person.profile_id, "Ada", "Lovelace", None)
    foreign = {"organization_id": theirs.organization_id}
    assert await get_public_profile(connection, **foreign, **named) is None
    await add_user(connection, theirs.organization_id, profile_of=person)
    assert await get_public_profile(connection, **foreign, **named) == public


async def test_app_clients_and_invited_users_have_no_profile(
    connection: Connection, own: dict[str, Any], mine: Tenant, person: Person
) -> None:
    await invite(connection, own)
    for principal_id in (mine.app_client_id, USER):
        named = {**own, "user_id": PrincipalId(principal_id)}
        assert await get_own_profile(connection, **named) is None
        assert await count_created_organization(connection, **named) is None
        members = dict.fromkeys(("given_name", "family_name", "locale", "picture", "metadata"), UNSET)
        assert await update_own_profile(connection, **named, **members) is None


@pytest.mark.parametrize(("allowed", "created", "counts"), [(1, 0, True), (1, 1, False), (3, 2, True)])
async def test_a_person_creates_as_many_organizations_as_the_profile_allows(
    connection: Connection, own: dict[str, Any], person: Person, allowed: int, created: int, counts: bool
) -> None:
    await connection.execute(
        "UPDATE profile SET number_of_organizations_allowed = $1, number_of_organizations_created = $2",
        allowed,
        created,
    )
    named = {**own, "user_id": PrincipalId(person.user_id)}
    creator = await count_created_organization(connection, **named)
    assert creator == (OrganizationCreatorRow(person.profile_id, person.email) if counts else None)
    profile = await get_own_profile(connection, **named)
    assert profile is not None
    assert profile.number_of_organizations_created == created + counts


@pytest.mark.parametrize(("secret_hash", "has_secret"), [("hash", True), (None, False)])
async def test_an_app_client_tells_only_whether_it_has_a_secret(
    connection: Connection, own: dict[str, Any], secret_hash: str | None, has_secret: bool
) -> None:
    named = {**own, "app_client_id": AppClientId("las:app-client:1")}
    row = await insert_app_client(
        connection,
        **named,
        client_id="client",
        secret_hash=secret_hash,
        name=None,
        description=None,
        configuration={"callbackUrls": []},
        role_ids=[],
        created_by=None,
    )
    assert (row.client_id, row.has_secret, row.configuration) == ("client", has_secret, {"callbackUrls": []})
    assert await get_app_client(connection, **named) == row
    assert await find_app_client_id(connection, **named) == row.id
    credentials = await find_app_client(connection, client_id="client")
    assert credentials == AppClientCredentialsRow(
        row.id, own["organization_id"], "client", None, secret_hash, None, 0, {"callbackUrls": []}
    )
    assert await find_app_client(connection, client_id="unknown") is None
    assert await delete_app_client(connection, **named) == row
    assert await find_app_client_id(connection, **named) is None


async def test_urls_of_an_app_client_are_replaced_one_by_one(connection: Connection, mine: Tenant) -> None:
    named = {"organization_id": mine.organization_id, "app_client_id": mine.app_client_id}
    rest: dict[str, Any] = {"name": UNSET, "description": UNSET, "role_ids": None, "updated_by": ADA}
    for configuration in ({"callbackUrls": ["a"], "logoutUrls": ["b"]}, {"callbackUrls": []}):
        row = await update_app_client(connection, **named, configuration=configuration, **rest)
    assert row is not None
    assert row.configuration == {"callbackUrls": [], "logoutUrls": ["b"]}


async def test_a_client_id_is_unique_over_all_organizations(
    connection: Connection, mine: Tenant, theirs: Tenant
) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(
            connection,
            "app_client",
            organization_id=theirs.organization_id,
            id="other",
            client_id=mine.client_id,
        )


PERMISSIONS = {
    "las:role:reader": ("*", "read", "allow"),
    "las:role:writer": ("*", "write", "allow"),
}


@pytest.mark.parametrize("kind", ["app_client", "organization_user"])
@pytest.mark.parametrize(
    ("role_ids", "expected"),
    [
        ([], None),
        (["las:role:reader"], ["las:role:reader"]),
        (["las:role:writer", "las:role:reader"], ["las:role:reader", "las:role:writer"]),
        # A role that is gone adds nothing; without any role left, nothing is permitted.
        (["las:role:gone", "las:role:reader"], ["las:role:reader"]),
        (["las:role:gone"], []),
    ],
)
async def test_a_principal_has_the_permissions_of_its_roles(
    connection: Connection, own: dict[str, Any], kind: str, role_ids: list[str], expected: list[str] | None
) -> None:
    for role_id, permission in PERMISSIONS.items():
        await add_role(connection, role_id.removeprefix("las:role:"), permission)
    values = {"status": "active"} if kind == "organization_user" else {"client_id": "client"}
    await insert(connection, kind, **own, id="principal", role_ids=role_ids, **values)
    grant_id = None
    if kind == "organization_user":
        grant_id = await add_grant(connection, own["organization_id"], UserId("principal"))
    row = await find_principal(
        connection, **own, principal_id=PrincipalId("principal"), grant_id=grant_id, epoch=0
    )
    assert row is not None
    if expected is None:
        assert row == PrincipalRow(permissions=None)
    else:
        found = [json.loads(text)[0]["action"] for text in row.permissions or []]
        assert found == [PERMISSIONS[role_id][1] for role_id in expected]


@pytest.mark.parametrize("kind", ["app_client", "organization_user"])
async def test_a_principal_acts_in_its_own_organization_only(
    connection: Connection, own: dict[str, Any], theirs: Tenant, kind: str
) -> None:
    values = {"status": "active"} if kind == "organization_user" else {"client_id": "client"}
    await insert(connection, kind, **own, id="principal", **values)
    principal_id = PrincipalId("principal")
    foreign = OrganizationId(theirs.organization_id)
    grant_id = None
    if kind == "organization_user":
        grant_id = await add_grant(connection, own["organization_id"], UserId("principal"))
    asked: dict[str, Any] = {"principal_id": principal_id, "grant_id": grant_id, "epoch": 0}
    assert await find_principal(connection, **own, **asked) is not None
    assert await find_principal(connection, organization_id=foreign, **asked) is None


@pytest.mark.parametrize("status", ["inactive", "invite_pending"])
async def test_a_user_who_is_not_active_may_not_call(
    connection: Connection, own: dict[str, Any], status: str
) -> None:
    await insert(connection, "organization_user", **own, id=USER, status=status)
    grant_id = await add_grant(connection, own["organization_id"], UserId(USER))
    asked: dict[str, Any] = {"principal_id": PrincipalId(USER), "epoch": 0}
    assert await find_principal(connection, **own, **asked, grant_id=grant_id) is None


async def test_a_user_acts_by_a_grant_of_its_own_that_has_not_ended(
    connection: Connection, own: dict[str, Any]
) -> None:
    grants = {}
    for name in ("mine", "theirs"):
        await insert(connection, "organization_user", **own, id=name, email=name, status="active")
        grants[name] = await add_grant(connection, own["organization_id"], UserId(name))
    asked: dict[str, Any] = {"principal_id": PrincipalId("mine"), "epoch": 0}
    assert await find_principal(connection, **own, **asked, grant_id=grants["mine"]) is not None
    for grant_id in (None, grants["theirs"], GrantId("unknown")):
        assert await find_principal(connection, **own, **asked, grant_id=grant_id) is None
    await end_token_grant(connection, **own, grant_id=grants["mine"], reason="test")
    assert await find_principal(connection, **own, **asked, grant_id=grants["mine"]) is None


@pytest.mark.parametrize(("overlap", "expected"), [(60.0, [False, True, True]), (0.0, [False, False, True])])
async def test_an_app_client_acts_in_its_epoch_and_for_a_while_in_the_one_before(
    connection: Connection, own: dict[str, Any], overlap: float, expected: list[bool]
) -> None:
    await insert(connection, "app_client", **own, id="client", client_id="client", secret_hash="first")
    for secret in ("second", "third"):
        row = await exchange_secret(
            connection,
            **own,
            app_client_id=AppClientId("client"),
            secret_hash=secret,
            overlap_seconds=overlap,
            updated_by=ADA,
        )
        assert row is not None
    found = [
        await find_principal(
            connection, **own, principal_id=PrincipalId("client"), grant_id=None, epoch=epoch
        )
        for epoch in range(3)
    ]
    assert [one is not None for one in found] == expected
    credentials = await find_app_client(connection, client_id="client")
    assert credentials is not None
    assert credentials.secret_hash == "third"
    assert credentials.previous_secret_hash == ("second" if overlap else None)


async def test_a_public_app_client_has_no_secret_to_exchange(
    connection: Connection, own: dict[str, Any]
) -> None:
    await insert(connection, "app_client", **own, id="client", client_id="client")
    changes: dict[str, Any] = {"secret_hash": "new", "overlap_seconds": 0.0, "updated_by": ADA}
    assert await exchange_secret(connection, **own, app_client_id=AppClientId("client"), **changes) is None


async def test_roles_are_written_again_with_the_same_id(connection: Connection) -> None:
    for name, permissions in (("Old", []), ("New", [{"action": "read"}])):
        await upsert_role(
            connection, role_id=RoleId("las:role:a"), name=name, description="", permissions=permissions
        )
    role = await get_role(connection, role_id=RoleId("las:role:a"))
    assert role is not None
    assert (role.name, role.permissions) == ("New", [{"action": "read"}])
    assert await find_roles(connection, role_ids=[RoleId("las:role:a"), RoleId("none")]) == ["las:role:a"]
    await add_role(connection, "b")
    first = await list_roles(connection, after_time=None, after_id=None, limit=1)
    rest = await list_roles(connection, after_time=first[0].created_time, after_id=first[0].id, limit=9)
    assert [row.id for row in (*first, *rest)] == ["las:role:a", "las:role:b"]


async def test_an_address_belongs_to_one_profile(connection: Connection, person: Person) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(connection, "profile", id=ProfileId("another"), email=person.email)
