"""No statement reaches another organization's data: the registry is walked, and the walker is tested."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest

import db
from db.statements import REGISTRY, Connection, Statement, tenant
from pagemill.ids import OrganizationId

ROOT = Path(__file__).parents[3]
SKIPPED = ("piccolo_app", "piccolo_conf", "tables", "migrations")
ORGANIZATION_FILTER = re.compile(r"\borganization_id\s*=\s*\$1\b")
ORGANIZATION_ITSELF = re.compile(r"\borganization\b[^;]*\bWHERE\s+(?:\w+\.)?id\s*=\s*\$1\b", re.DOTALL)
INSERTED_FIRST = re.compile(r"INSERT\s+INTO\s+\w+\s*(?:AS\s+\w+\s*)?\(\s*organization_id\b", re.IGNORECASE)
SQL_OUTSIDE = re.compile(
    r"""["']\s*(?:SELECT\s.+\sFROM\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s)""", re.DOTALL
)

SESSION = re.compile(
    r"^\s*(?:SET\s+(?!LOCAL\b)|LISTEN\b|CREATE\s+TEMP|DECLARE\b)"
    r"|set_config\([^()]*,\s*false\s*\)|pg_(?:try_)?advisory_lock",
    re.IGNORECASE,
)


def changes_session(sql: str) -> bool:
    return SESSION.search(sql) is not None


def load_statements() -> dict[str, Statement[..., Any]]:
    for module in pkgutil.iter_modules(db.__path__):
        if module.name not in SKIPPED:
            importlib.import_module(f"db.{module.name}")
    return REGISTRY


def scopes_organization(sql: str) -> bool:
    return any(pattern.search(sql) for pattern in (ORGANIZATION_FILTER, ORGANIZATION_ITSELF, INSERTED_FIRST))


@pytest.mark.parametrize("name", sorted(load_statements()))
def test_statement_is_scoped_or_says_why_not(name: str) -> None:
    statement = REGISTRY[name]
    assert statement.crosses or scopes_organization(statement.sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM document WHERE id = $1",
        "SELECT * FROM document WHERE organization_id = $2 AND id = $1",
        "DELETE FROM dataset",
        "UPDATE model SET organization_id = 'x' WHERE id = $1",
        "INSERT INTO document (id, organization_id) VALUES ($1, $2)",
    ],
)
def test_unscoped_statement_is_found(sql: str) -> None:
    assert not scopes_organization(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM document WHERE organization_id = $1 AND id = $2",
        "SELECT d.id FROM document AS d WHERE d.organization_id = $1",
        "SELECT id FROM organization WHERE id = $1",
        "INSERT INTO document (organization_id, id) VALUES ($1, $2)",
    ],
)
def test_scoped_statement_is_accepted(sql: str) -> None:
    assert scopes_organization(sql)


@pytest.mark.parametrize("name", sorted(load_statements()))
def test_statement_leaves_its_session_as_it_was(name: str) -> None:
    """Connections go back to the pool as they are."""
    assert not changes_session(REGISTRY[name].sql)


@pytest.mark.parametrize(
    ("sql", "changes"),
    [
        ("SET lock_timeout = 1", True),
        ("SET LOCAL lock_timeout = 1", False),
        ("SELECT set_config('lock_timeout', $1, false)", True),
        ("SELECT set_config('lock_timeout', $1, true)", False),
        ("SELECT pg_advisory_lock(1)", True),
        ("SELECT pg_advisory_xact_lock(1)", False),
        ("LISTEN jobs", True),
        ("CREATE TEMPORARY TABLE one (id integer)", True),
        ("UPDATE model SET name = $2 WHERE organization_id = $1", False),
    ],
)
def test_statement_that_changes_its_session_is_found(sql: str, changes: bool) -> None:
    assert changes_session(sql) == changes


def test_two_statements_cannot_share_a_name() -> None:
    async def get_asset(connection: Connection, *, organization_id: OrganizationId) -> str | None: ...

    get_asset.__module__ = "db.assets"
    assert "assets.get_asset" in load_statements()
    with pytest.raises(ValueError, match=r"two statements are named assets\.get_asset"):
        tenant("SELECT id FROM asset WHERE organization_id = :organization_id LIMIT 1")(get_asset)


def test_sql_stands_in_the_db_room_only() -> None:
    rooms = ("platform", "serve_apps", "train_jobs")
    outside = [
        str(path.relative_to(ROOT))
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        if SQL_OUTSIDE.search(path.read_text())
    ]
    assert outside == []
