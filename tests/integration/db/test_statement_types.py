"""Every statement takes and gives what its signature says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest

from db.statements import REGISTRY, Connection, NeverNull, Row, Statement, crossing, tenant
from pagemill.ids import AssetId, OrganizationId
from tests.support.statement_types import Schema, problems_of
from tests.unit.db.test_statements import load_statements


@pytest.fixture
def schema(database_url: str) -> Iterator[Schema]:
    schema = Schema(database_url)
    yield schema
    schema.close()


def test_signatures_say_what_postgres_says(schema: Schema) -> None:
    statements = list(load_statements().values())
    assert statements
    assert [problem for statement in statements for problem in problems_of(statement, schema)] == []


class PlantedRow(Row):
    """A row of the statements below."""

    id: AssetId
    name: str | None


class MisspeltRow(Row):
    """Its second column is called otherwise."""

    id: AssetId
    nmae: str | None


class PresentRow(Row):
    """Its second column can be null, whatever it says."""

    id: AssetId
    name: str


class CountedRow(Row):
    """A computed column of which nothing is said."""

    id: AssetId
    number: int


class MarkedRow(Row):
    """A computed column that is marked."""

    id: AssetId
    number: Annotated[int, NeverNull("count(*)")]


@pytest.fixture
def planted() -> Iterator[None]:
    """Forget the statements that a test declares."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


ONE = "SELECT {} FROM asset WHERE organization_id = :organization_id AND id = :asset_id"
COUNTED = (
    "SELECT id, count(*) AS number FROM asset WHERE organization_id = :organization_id AND id = :asset_id"
)


def declare(sql: str, result: Any, asset_id: Any = AssetId) -> Statement[..., Any]:
    async def planted_statement(
        connection: Connection, *, organization_id: OrganizationId, asset_id: AssetId
    ) -> Any: ...

    planted_statement.__annotations__ |= {"return": result, "asset_id": asset_id}
    return tenant(sql)(planted_statement)


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    ("sql", "result", "asset_id", "problem"),
    [
        (ONE.format("id, name"), PlantedRow | None, AssetId, None),
        (ONE.format("id, nmae"), MisspeltRow | None, AssetId, 'column "nmae" does not exist'),
        (ONE.format("id, name"), MisspeltRow | None, AssetId, "returns id, name, not id, nmae"),
        (ONE.format("id, name"), PresentRow | None, AssetId, "column name can be null"),
        (ONE.format("id, name"), PlantedRow | None, int, "parameter asset_id is text"),
        (ONE.format("created_time"), str | None, AssetId, "column created_time is timestamptz"),
        (ONE.format("name"), str, AssetId, "column name can be null"),
        (ONE.format("id, name"), str | None, AssetId, "returns 2 columns"),
        (COUNTED + " GROUP BY id", CountedRow | None, AssetId, "column number is computed"),
        (COUNTED + " GROUP BY id", MarkedRow | None, AssetId, None),
        (
            "SELECT asset.id, model.id AS name FROM asset LEFT JOIN model ON model.id = asset.name "
            "WHERE asset.organization_id = :organization_id AND asset.id = :asset_id",
            PresentRow | None,
            AssetId,
            "column name can be null",
        ),
    ],
)
def test_a_planted_mistake_is_reported(
    schema: Schema, sql: str, result: Any, asset_id: Any, problem: str | None
) -> None:
    problems = problems_of(declare(sql, result, asset_id), schema)
    assert len(problems) == (problem is not None)
    assert problem is None or problem in problems[0]


@pytest.mark.usefixtures("planted")
def test_the_sql_and_the_function_name_the_same_parameters() -> None:
    with pytest.raises(TypeError, match="asset_id"):
        declare("SELECT id FROM asset WHERE organization_id = :organization_id", str | None)
    with pytest.raises(TypeError, match="other"):
        declare(ONE.format("id") + " AND name = :other", str | None)


@pytest.mark.usefixtures("planted")
def test_a_tenant_statement_takes_the_organization_first() -> None:
    async def by_id(connection: Connection, *, asset_id: AssetId) -> str | None: ...

    with pytest.raises(TypeError, match="the organization"):
        tenant("SELECT id FROM asset WHERE id = :asset_id")(by_id)
    assert crossing("a test", "SELECT id FROM asset WHERE id = :asset_id")(by_id).crosses == "a test"
