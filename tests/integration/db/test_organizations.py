"""Organizations, the plans that they see, and the deployment environments that they may use."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from db.deployment_environments import (
    DeploymentEnvironmentRow,
    define_deployment_environment,
    get_deployment_environment,
    insert_deployment_environment,
    list_all_deployment_environments,
    list_deployment_environments,
)
from db.organizations import (
    OrganizationRow,
    find_organization,
    get_organization,
    insert_organization,
    list_organizations,
)
from db.plans import (
    OrganizationPlanRow,
    find_plan,
    get_organization_plan,
    list_all_plans,
    list_plans,
    lock_plan_version,
    upsert_plan,
)
from db.statements import Connection
from pagemill.ids import DeploymentEnvironmentId, OrganizationId, PlanId, PrincipalId
from tests.support.everything import insert
from tests.support.people import Person, add_user
from tests.support.tenants import Tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE: dict[str, Any] = {"after_time": None, "after_id": None, "limit": 10}


async def test_a_new_organization_has_no_app_client(connection: Connection, now: datetime) -> None:
    row = await insert_organization(
        connection,
        organization_id=OrganizationId("las:organization:1"),
        name="New",
        description=None,
        plan_id=PlanId("las:plan:1"),
        document_retention_in_days=30,
    )
    assert row == OrganizationRow(
        id=OrganizationId("las:organization:1"),
        name="New",
        description=None,
        plan_id=PlanId("las:plan:1"),
        payment_method_id=None,
        document_retention_in_days=30,
        created_time=now,
        updated_time=None,
        updated_by=None,
        client_id=None,
    )
    assert await get_organization(connection, organization_id=row.id) == row
    assert await get_organization(connection, organization_id=OrganizationId("unknown")) is None


async def test_users_sign_in_with_the_oldest_app_client_without_a_secret(
    connection: Connection, mine: Tenant, theirs: Tenant, now: datetime
) -> None:
    for owner, name, secret_hash, age in (
        (mine, "old, with a secret", "hash", 9),
        (mine, "b", None, 5),
        (mine, "a", None, 5),
        (mine, "new", None, 1),
        (theirs, "of theirs", None, 9),
    ):
        await insert(
            connection,
            "app_client",
            organization_id=owner.organization_id,
            id=name,
            client_id=f"client of {name}",
            secret_hash=secret_hash,
            created_time=now - timedelta(days=age),
        )
    row = await get_organization(connection, organization_id=mine.organization_id)
    assert row is not None
    assert row.client_id == "client of a"


@pytest_asyncio.fixture(loop_scope="module")
async def person(connection: Connection, mine: Tenant, theirs: Tenant) -> Person:
    """A user of one organization, who is also an active user of another and an inactive one of a third."""
    person = await add_user(connection, mine.organization_id)
    await add_user(connection, theirs.organization_id, profile_of=person)
    await insert(connection, "organization", id="left")
    await insert(connection, "organization", id="unrelated")
    await add_user(connection, OrganizationId("left"), profile_of=person, status="inactive")
    await add_user(connection, OrganizationId("unrelated"))
    return person


async def test_a_user_may_use_the_organizations_of_its_person(
    connection: Connection, mine: Tenant, theirs: Tenant, person: Person
) -> None:
    user = {"organization_id": mine.organization_id, "principal_id": PrincipalId(person.user_id)}
    rows = await list_organizations(connection, **user, **PAGE)
    expected = sorted([mine.organization_id, theirs.organization_id])
    assert [row.id for row in rows] == expected
    after = {"after_time": rows[0].created_time, "after_id": rows[0].id}
    rest = await list_organizations(connection, **user, **{**PAGE, **after})
    assert [row.id for row in rest] == expected[1:]
    for wanted_id in (mine.organization_id, theirs.organization_id, "left", "unrelated"):
        found = await find_organization(connection, **user, wanted_id=OrganizationId(wanted_id))
        assert (found is not None) == (wanted_id in expected)


@pytest.mark.parametrize("who", ["app client", "invited user", "user of another organization"])
async def test_others_may_use_their_own_organization_only(
    connection: Connection, mine: Tenant, theirs: Tenant, person: Person, who: str
) -> None:
    invited = {"organization_id": mine.organization_id, "id": "invited", "email": "bob@example.com"}
    await insert(connection, "organization_user", **invited)
    if who == "user of another organization":
        caller = {"organization_id": OrganizationId("unrelated"), "principal_id": PrincipalId(person.user_id)}
    else:
        principal_id = mine.app_client_id if who == "app client" else "invited"
        caller = {"organization_id": mine.organization_id, "principal_id": PrincipalId(principal_id)}
    rows = await list_organizations(connection, **caller, **PAGE)
    assert [row.id for row in rows] == [caller["organization_id"]]
    assert await find_organization(connection, **caller, wanted_id=theirs.organization_id) is None


@pytest_asyncio.fixture(loop_scope="module")
async def plans(connection: Connection, mine: Tenant, theirs: Tenant) -> dict[str, OrganizationId | None]:
    """Versions of plans, and who owns each; only versions of one slug may have different owners."""
    await connection.execute("DELETE FROM plan")
    owners = {
        "free:1": None,
        "free:2": None,
        "free:10": theirs.organization_id,
        "own:1": mine.organization_id,
        "theirs:1": theirs.organization_id,
    }
    for name, owner in owners.items():
        slug, _, version = name.partition(":")
        own = {"id": name, "slug": slug, "version": int(version), "organization_id": owner}
        await insert(connection, "plan", **own, allowed={"pages": 1}, definition={"price": name})
    return owners


async def test_an_organization_sees_everybodys_plans_and_its_own(
    connection: Connection, mine: Tenant, theirs: Tenant, plans: dict[str, OrganizationId | None]
) -> None:
    seen = {}
    for tenant in (mine, theirs):
        rows = await list_plans(
            connection, organization_id=tenant.organization_id, owner_ids=None, after_id=None, limit=10
        )
        seen[tenant.organization_id] = [(row.id, row.latest) for row in rows]
    assert seen == {
        mine.organization_id: [("free:2", 2), ("own:1", 1)],
        theirs.organization_id: [("free:10", 10), ("theirs:1", 1)],
    }


async def test_plans_are_listed_by_id_and_owner(
    connection: Connection, mine: Tenant, theirs: Tenant, plans: dict[str, OrganizationId | None]
) -> None:
    own = {"organization_id": mine.organization_id}
    for owner_ids, after_id, limit, expected in (
        (None, None, 1, ["free:2"]),
        (None, "free:2", 10, ["own:1"]),
        (None, "own:1", 10, []),
        ([mine.organization_id], None, 10, ["own:1"]),
        ([theirs.organization_id], None, 10, []),
    ):
        rows = await list_plans(connection, **own, owner_ids=owner_ids, after_id=after_id, limit=limit)
        assert [row.id for row in rows] == expected


@pytest.mark.parametrize(
    ("slug", "version", "expected"),
    [
        ("free", None, ("free:2", 2)),
        ("free", 1, ("free:1", 2)),
        ("free", 10, None),
        ("own", None, ("own:1", 1)),
        ("theirs", None, None),
        ("theirs", 1, None),
        ("unknown", None, None),
    ],
)
async def test_a_plan_is_found_with_its_newest_version(
    connection: Connection,
    mine: Tenant,
    plans: dict[str, OrganizationId | None],
    slug: str,
    version: int | None,
    expected: tuple[str, int] | None,
) -> None:
    row = await find_plan(connection, organization_id=mine.organization_id, slug=slug, version=version)
    assert ((row.id, row.latest) if row else None) == expected


async def test_a_version_of_a_plan_keeps_its_identity_and_owner(
    connection: Connection, mine: Tenant, theirs: Tenant, plans: dict[str, OrganizationId | None]
) -> None:
    await upsert_plan(
        connection,
        plan_id=PlanId("own:1"),
        slug="changed",
        version=9,
        organization_id=theirs.organization_id,
        name="New name",
        description=None,
        available=False,
        currency="NOK",
        limited_by="fields",
        definition={"price": "new"},
        allowed={"fields": 5},
    )
    row = await lock_plan_version(connection, plan_id=PlanId("own:1"))
    assert row is not None
    assert (row.slug, row.version, row.organization_id) == ("own", 1, mine.organization_id)
    assert (row.name, row.available, row.currency, row.limited_by) == ("New name", False, "NOK", "fields")
    assert (row.definition, row.allowed) == ({"price": "new"}, {"fields": 5})


async def test_the_operator_sees_how_many_organizations_are_on_each_plan(
    connection: Connection, mine: Tenant, theirs: Tenant, plans: dict[str, OrganizationId | None]
) -> None:
    await connection.execute("UPDATE organization SET plan_id = 'free:1'")
    rows = await list_all_plans(connection)
    assert [(row.id, row.organizations) for row in rows] == [
        ("free:1", 2),
        *((name, 0) for name in ("free:2", "free:10", "own:1", "theirs:1")),
    ]
    plan = await get_organization_plan(connection, organization_id=mine.organization_id)
    assert plan == OrganizationPlanRow(PlanId("free:1"), "EUR", {"price": "free:1"})


@pytest.mark.parametrize("plan_id", [None, "a plan that is gone"])
async def test_an_organization_may_have_no_plan(
    connection: Connection, mine: Tenant, plan_id: str | None
) -> None:
    await connection.execute("UPDATE organization SET plan_id = $1", plan_id)
    plan = await get_organization_plan(connection, organization_id=mine.organization_id)
    assert plan == OrganizationPlanRow(PlanId(plan_id) if plan_id else None, None, None)


def environment(name: str) -> DeploymentEnvironmentId:
    return DeploymentEnvironmentId(f"las:deployment-environment:{name}")


@pytest.mark.parametrize(
    ("name", "newest", "expected"),
    [
        ("fast", False, "fast"),
        ("fast", True, "fast:10"),
        ("fast:2", True, "fast:2"),
        ("plain", True, "plain"),
        # An id that only begins alike, and one with an @, are no versions.
        ("fas", True, None),
        ("pinned", True, None),
        ("unversioned", False, None),
        ("unversioned", True, "unversioned:1"),
        ("of theirs", False, None),
        ("of theirs", True, None),
        ("own", False, "own"),
    ],
)
async def test_the_newest_version_of_an_environment_has_the_greatest_number(
    connection: Connection, mine: Tenant, theirs: Tenant, name: str, newest: bool, expected: str | None
) -> None:
    everybodys = ("fast", "fast:2", "fast:10", "fast:9", "faster", "plain", "pinned:1@abc", "unversioned:1")
    for owner, names in (
        (None, everybodys),
        (theirs.organization_id, ("of theirs", "of theirs:2", "fast:11")),
        (mine.organization_id, ("own",)),
    ):
        for one in names:
            await insert_deployment_environment(
                connection,
                environment_id=environment(one),
                owner=owner,
                name=None,
                description=None,
                units=1,
                status="available",
            )
    row = await get_deployment_environment(
        connection, organization_id=mine.organization_id, environment_id=environment(name), newest=newest
    )
    assert (row.id if row else None) == (environment(expected) if expected else None)


async def test_environments_are_listed_by_owner(connection: Connection, mine: Tenant, theirs: Tenant) -> None:
    for name, owner in (("a", None), ("b", mine.organization_id), ("c", theirs.organization_id)):
        await insert(connection, "deployment_environment", id=name, organization_id=owner)
    own = {"organization_id": mine.organization_id}
    for owners, expected in (
        (None, ["a", "b"]),
        ([mine.organization_id], ["b"]),
        ([theirs.organization_id], []),
        ([], []),
    ):
        rows = await list_deployment_environments(connection, **own, owners=owners, **PAGE)
        assert [row.id for row in rows] == expected


async def test_the_operator_sees_all_environments_by_id(
    connection: Connection, mine: Tenant, theirs: Tenant
) -> None:
    for name, owner in (("c", None), ("a", mine.organization_id), ("b", theirs.organization_id)):
        await insert(connection, "deployment_environment", id=name, organization_id=owner)
    rows = await list_all_deployment_environments(connection)
    assert [(row.id, row.organization_id, row.trainings) for row in rows] == [
        ("a", mine.organization_id, 0),
        ("b", theirs.organization_id, 0),
        ("c", None, 0),
    ]


async def test_an_environment_is_defined_and_what_is_given_of_it_changed(
    connection: Connection, mine: Tenant, theirs: Tenant, now: datetime
) -> None:
    nothing: dict[str, Any] = dict.fromkeys(("name", "description", "units", "status"))
    named = {"environment_id": environment("a"), "owner": mine.organization_id}
    row = await define_deployment_environment(connection, **named, **nothing)
    defined = DeploymentEnvironmentRow(*named.values(), None, None, 1, "available", now)
    assert row == defined
    row = await define_deployment_environment(connection, **named, **{**nothing, "units": 3, "name": "A"})
    assert row is not None
    assert (row.name, row.description, row.model_deployment_units, row.status) == ("A", None, 3, "available")
    for owner in (theirs.organization_id, None):
        taken = {**named, "owner": owner}
        assert await define_deployment_environment(connection, **taken, **{**nothing, "name": "B"}) is None
    await insert(connection, "model", organization_id=theirs.organization_id, id="model")
    await insert(
        connection,
        "training",
        organization_id=theirs.organization_id,
        id="training",
        model_id="model",
        deployment_environment_id=environment("a"),
    )
    (use,) = await list_all_deployment_environments(connection)
    assert (use.id, use.name, use.trainings) == (environment("a"), "A", 1)
