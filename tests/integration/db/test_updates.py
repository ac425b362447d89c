"""Updates: what is sent is changed, null clears, and what is left out stays as it is."""

from __future__ import annotations

import json
from typing import Any, Literal, get_args, get_origin

import pytest
import pytest_asyncio
from msgspec import UNSET, UnsetType

from db.statements import Connection, Statement, without_none
from tests.support.full_organization import FullOrganization, add_full_organization
from tests.support.statement_arguments import arguments_of
from tests.unit.db.test_statements import load_statements

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLES = {
    "app_clients.update_app_client": ("app_client", "AppClientId"),
    "assets.update_asset": ("asset", "AssetId"),
    "data_bundles.update_data_bundle": ("data_bundle", "DataBundleId"),
    "datasets.update_dataset": ("dataset", "DatasetId"),
    "documents.update_document": ("document", "DocumentId"),
    "models.update_model": ("model", "ModelId"),
    "organizations.update_organization": ("organization", "OrganizationId"),
    "payment_methods.update_payment_method": ("payment_method", "PaymentMethodId"),
    "profiles.update_own_profile": ("profile", "ProfileId"),
    "secrets.update_secret": ("secret", "SecretId"),
    "trainings.update_training": ("training", "TrainingId"),
    "transitions.update_transition": ("transition", "TransitionId"),
    "users.update_user": ("organization_user", "UserId"),
    "webhooks.update_webhook": ("webhook", "WebhookId"),
    "workflows.update_workflow": ("workflow", "WorkflowId"),
}
"""The table that a statement updates, and the type of its id."""
ON_EVERY_CHANGE = {"updated_time", "updated_by", "version"}
STATEMENTS: dict[str, Statement[..., Any]] = {
    name: statement
    for name, statement in load_statements().items()
    if any(UnsetType in get_args(hint) for hint in statement.hints.values())
}


def members_of(statement: Statement[..., Any]) -> list[str]:
    """Return the parameters that can be left out."""
    return [name for name, hint in statement.hints.items() if {UnsetType, type(None)} & set(get_args(hint))]


MEMBERS = [
    (name, member)
    for name in sorted(TABLES)
    for member in members_of(STATEMENTS[name])
    if member != "updated_by"
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(module_connection: Connection) -> FullOrganization:
    return await add_full_organization(module_connection, "full")


class Updated:
    """A row, and the statement that updates it."""

    def __init__(self, connection: Connection, full: FullOrganization, name: str) -> None:
        self.connection, self.full = connection, full
        self.statement = STATEMENTS[name]
        self.table, id_type = TABLES[name]
        self.id = full.ids["open"][id_type]
        self.arguments = next(arguments_of(self.statement, full))[1]
        for member in members_of(self.statement):
            left_out = UNSET if UnsetType in get_args(self.statement.hints[member]) else None
            self.arguments[member] = left_out

    async def row(self) -> dict[str, Any]:
        return json.loads(
            await self.connection.fetchval(
                f"SELECT to_jsonb(one)::text FROM {self.table} AS one WHERE id = $1", self.id
            )
        )

    async def update(self, **sent: Any) -> set[str]:
        """Update the row and return the columns that have changed, but for those that always do."""
        before = await self.row()
        for member in self.statement.hints.keys() & before.keys() - {"id", "updated_by"}:
            if member not in members_of(self.statement) and not member.endswith("_id"):
                sent.setdefault(member, before[member])
        await self.statement(
            self.connection,
            **{"organization_id": self.full.organization_id, **self.arguments, **sent},
        )
        after = await self.row()
        return {column for column in after if after[column] != before[column]} - ON_EVERY_CHANGE

    def new_value(self, member: str) -> Any:
        """Return a value that the row does not have."""
        hint = without_none(self.statement.hints[member])[0]
        alternatives = [one for one in get_args(hint) if one is not UnsetType] or [hint]
        if hasattr(alternatives[0], "__supertype__"):
            return self.full.ids["failed"].get(alternatives[0].__name__, "new")
        if get_origin(alternatives[0]) is Literal:
            return get_args(alternatives[0])[-1]
        if get_origin(hint) is Literal:
            return get_args(hint)[-1]
        kind = get_origin(alternatives[0]) or alternatives[0]
        values = {str: "new", int: 7, bool: False, bytes: b"new", list: [{"label": "new"}]}
        if kind in values:
            return values[kind]
        return ["las:role:new"] if member in ("role_ids", "event_types") else {"new": 1}


@pytest.mark.parametrize(("name", "member"), MEMBERS)
async def test_a_member_is_changed_kept_and_cleared(
    connection: Connection, full: FullOrganization, name: str, member: str
) -> None:
    updated = Updated(connection, full, name)
    value = updated.new_value(member)
    if member == "plan_id":
        value = "another plan"
    assert await updated.update(**{member: value}) == {member}
    stored = (await updated.row())[member]
    assert stored == (value if not isinstance(value, bytes) else "\\x" + value.hex())

    assert await updated.update() == set()
    hint = get_args(updated.statement.hints[member])
    if type(None) in hint:
        assert await updated.update(**{member: None}) == ({member} if UnsetType in hint else set())
        assert (await updated.row())[member] == (None if UnsetType in hint else stored)


@pytest.mark.parametrize("name", sorted(TABLES))
async def test_a_change_names_who_made_it_and_when(
    connection: Connection, full: FullOrganization, name: str
) -> None:
    updated = Updated(connection, full, name)
    before = await updated.row()
    now = await connection.fetchval("SELECT to_jsonb(now()) #>> '{}'")
    if "updated_by" in updated.statement.hints:
        await updated.update(updated_by="las:user:changer")
        assert (await updated.row())["updated_by"] == "las:user:changer"
    else:
        await updated.update()
    after = await updated.row()
    assert (before["updated_time"], after["updated_time"]) == (None, now)


@pytest.mark.parametrize("name", sorted(TABLES))
async def test_no_other_row_is_changed(connection: Connection, full: FullOrganization, name: str) -> None:
    updated = Updated(connection, full, name)
    others = f"SELECT array_agg(one::text ORDER BY id) FROM {updated.table} AS one WHERE id <> $1"
    before = await connection.fetchval(others, updated.id)
    await updated.update()
    assert await connection.fetchval(others, updated.id) == before


GETS: dict[str, Statement[..., Any]] = {
    name: statement
    for name in sorted(TABLES)
    if (statement := load_statements().get(name.replace(".update_", ".get_")))
    and STATEMENTS[name].shape == "row"
}


@pytest.mark.parametrize("name", GETS)
async def test_an_update_returns_the_row_as_it_is_then(
    connection: Connection, full: FullOrganization, name: str
) -> None:
    updated = Updated(connection, full, name)
    own = {"organization_id": full.organization_id}
    row = await updated.row()
    sent = {member: row[member] for member in updated.arguments.keys() & {"parameters"}}
    returned = await updated.statement(connection, **own, **{**updated.arguments, **sent})
    named = next(arguments_of(GETS[name], full))[1]
    assert returned == await GETS[name](connection, **own, **named)
    assert returned is not None


async def test_every_update_with_members_that_can_be_left_out_is_here() -> None:
    assert sorted(TABLES) == sorted(STATEMENTS)
