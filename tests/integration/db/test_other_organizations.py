"""No statement gives one organization anything of another, or changes anything of it.

Each tenant statement of the registry runs with ids of the organization A in a database with two organizations
full of rows: for B it must be as if they did not exist. The same arguments have to give A something, else the
test would show nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import asyncpg
import pytest
import pytest_asyncio

from db.statements import REGISTRY, Connection, NeverNull, Row, RowCount, Statement, tenant
from pagemill.ids import AssetId, OrganizationId
from tests.support.full_organization import FullOrganization, add_full_organization, snapshot
from tests.support.statement_arguments import arguments_of
from tests.unit.db.test_statements import load_statements

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATEMENTS = {
    name: statement for name, statement in sorted(load_statements().items()) if not statement.crosses
}


EXISTENCE_SHOWS = {
    "usage.insert_reservations": "a job, whose id nobody else knows, reserves each meter once",
}
"""Statements that tell an id that another organization has from one that nobody has, and why they may."""

UNKNOWN = "belongs-to-nobody"
CLOCK = re.compile(r"datetime\.datetime\([^()]*\)")


@dataclass(frozen=True, slots=True, repr=False)
class Organizations:
    """Two organizations that are full of rows."""

    owner: FullOrganization
    other: FullOrganization
    owned: Counter[str]
    """All rows of the owner."""
    others: Counter[str]
    """All rows of the other organization."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def organizations(module_connection: Connection) -> Organizations:
    owner = await add_full_organization(module_connection, "belongs-to-a", pages_used=100)
    other = await add_full_organization(module_connection, "belongs-to-b")
    return Organizations(
        owner, other, await snapshot(module_connection, owner), await snapshot(module_connection, other)
    )


@dataclass(frozen=True, slots=True, repr=False)
class Run:
    """What a statement did."""

    result: Any
    """The name of the error if there was one."""
    owned: Counter[str]
    """All rows of the owner afterwards."""
    written: Counter[str]
    """Rows of the other organization that were not there before."""


async def run(
    connection: Connection,
    statement: Statement[..., Any],
    organization_id: OrganizationId,
    arguments: dict[str, Any],
    organizations: Organizations,
) -> Run:
    """Run a statement for an organization, look at the rows of both, and take it back."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        savepoint = connection.transaction()
        await savepoint.start()
        try:
            result = await statement(connection, organization_id=organization_id, **arguments)
        except (asyncpg.IntegrityConstraintViolationError, LookupError) as error:
            await savepoint.rollback()
            result = type(error).__name__
        written = await snapshot(connection, organizations.other) - organizations.others
        return Run(result, await snapshot(connection, organizations.owner), written)
    finally:
        await transaction.rollback()


def of_owner(seen: Any, arguments: dict[str, Any], marker: str) -> str | None:
    """Return what was seen if it has anything of the owner's that the caller did not name."""
    text = repr(seen)
    for given in sorted(_texts(list(arguments.values())), key=len, reverse=True):
        text = text.replace(given, "")
    return text if marker in text else None


def _texts(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value} if value else set()
    return set().union(*map(_texts, value)) if isinstance(value, list) else set()


def with_unknown_ids(value: Any, marker: str) -> Any:
    """Return an argument with ids that nobody has instead of the owner's."""
    if isinstance(value, str):
        return value.replace(marker, UNKNOWN)
    return [with_unknown_ids(one, marker) for one in value] if isinstance(value, list) else value


def is_like_unknown(result: Any, of_unknown: Any, marker: str) -> bool:
    """Return whether a result is the one for ids that nobody has, except for the ids and the clock.

    Ids are unique and references are checked for all organizations together.
    """
    if result == "UniqueViolationError" or of_unknown == "ForeignKeyViolationError":
        return True
    texts = (CLOCK.sub("", repr(result).replace(marker, UNKNOWN)), CLOCK.sub("", repr(of_unknown)))
    return texts[0] == texts[1]


async def problem_of(
    connection: Connection, statement: Statement[..., Any], organizations: Organizations
) -> str | None:
    """Return what another organization can do with the owner's ids, or that not even the owner can."""
    owner, other = organizations.owner, organizations.other.organization_id
    is_shown, difference = False, None
    for title, arguments in arguments_of(statement, owner):
        others = await run(connection, statement, other, arguments, organizations)
        if others.owned != organizations.owned:
            return f"{title}: changes {organizations.owned - others.owned}"
        for verb, seen in (("returns", others.result), ("writes", others.written)):
            if (leaked := of_owner(seen, arguments, owner.marker)) is not None:
                return f"{title}: {verb} {leaked}"
        unknown = {name: with_unknown_ids(value, owner.marker) for name, value in arguments.items()}
        of_unknown = await run(connection, statement, other, unknown, organizations)
        if not is_like_unknown(others.result, of_unknown.result, owner.marker):
            difference = f"{title}: returns {others.result}, but {of_unknown.result} for unknown ids"
        if not is_shown:
            own = await run(connection, statement, owner.organization_id, arguments, organizations)
            is_shown = own.owned != organizations.owned or repr(own.result) != repr(others.result)
    return difference if is_shown or difference else "gives the owner no more than another organization"


@pytest.mark.parametrize("name", STATEMENTS)
async def test_another_organization_gets_nothing_and_changes_nothing(
    connection: Connection, organizations: Organizations, name: str
) -> None:
    problem = await problem_of(connection, STATEMENTS[name], organizations)
    if name in EXISTENCE_SHOWS:
        assert "for unknown ids" in str(problem)
    else:
        assert problem is None


class PlantedRow(Row):
    """A row of the statements below."""

    id: AssetId
    name: str | None


PLANTED: list[tuple[str, Any, str | None]] = [
    ("SELECT id, name FROM asset WHERE organization_id = {} AND id = {}", PlantedRow | None, None),
    ("SELECT id, name FROM asset WHERE {} <> '' AND id = {}", PlantedRow | None, "returns PlantedRow"),
    (
        "SELECT asset.id, document.name FROM asset, document WHERE asset.organization_id = {} "
        "AND asset.id <> {}",
        list[PlantedRow],
        "returns [PlantedRow",
    ),
    ("UPDATE asset SET name = {} WHERE id = {}", RowCount, "changes Counter({'asset "),
    ("DELETE FROM asset WHERE id = {1} AND organization_id IN ({0}, organization_id)", RowCount, "changes"),
    (
        "SELECT count(*) FROM asset WHERE id = {1} AND {0} <> ''",
        Annotated[int, NeverNull("count(*)")],
        "returns 1, but 0 for unknown ids",
    ),
    (
        "SELECT count(*) FROM asset WHERE id = {1} AND {0} = ''",
        Annotated[int, NeverNull("count(*)")],
        "no more than another organization",
    ),
    (
        "INSERT INTO secret (organization_id, id, name, key_id, nonce, ciphertext) "
        "SELECT {}, 'new', name, '', '', '' FROM asset WHERE id = {}",
        RowCount,
        "writes",
    ),
    (
        "INSERT INTO asset AS former (organization_id, id, content_key, content_md5) VALUES ({}, {}, '', '') "
        "ON CONFLICT (id) DO UPDATE SET content_key = excluded.content_key",
        RowCount,
        "changes",
    ),
]


@pytest.fixture
def planted() -> Iterator[None]:
    """Forget the statements that a test declares."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(("sql", "result", "problem"), PLANTED)
async def test_a_planted_leak_is_reported(
    connection: Connection, organizations: Organizations, sql: str, result: Any, problem: str | None
) -> None:
    async def planted_statement(
        connection: Connection, *, organization_id: OrganizationId, asset_id: AssetId
    ) -> Any: ...

    planted_statement.__annotations__["return"] = result
    statement: Statement[..., Any] = tenant(sql.format(":organization_id", ":asset_id"))(planted_statement)
    reported = await problem_of(connection, statement, organizations)
    assert (reported is None) == (problem is None)
    assert problem is None or problem in str(reported)
