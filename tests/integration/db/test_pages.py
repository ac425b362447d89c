"""Pages of lists: each row once, in order, with ties and with rows that have no time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from db import (
    app_clients,
    assets,
    audit_events,
    consents,
    data_bundles,
    datasets,
    deployment_environments,
    documents,
    logs,
    models,
    payment_methods,
    predictions,
    secrets,
    trainings,
    transformations,
    transition_executions,
    transitions,
    users,
    webhooks,
    workflow_executions,
    workflows,
)
from db.statements import Connection, Statement
from pagemill.ids import OrganizationId
from tests.support.everything import insert
from tests.support.tenants import Tenant
from tests.unit.db.test_statements import load_statements

pytestmark = pytest.mark.asyncio(loop_scope="module")

START = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS: dict[str, float | None] = {"c": 0, "e": 1, "a": 1, "b": 1, "d": 1.000001, "g": 60, "f": 120}
WITHOUT_TIME = {"i": None, "h": None}


@dataclass(frozen=True, slots=True)
class Listed:
    """A statement that lists rows of a table in pages."""

    statement: Statement[..., list[Any]]
    table: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Those besides the organization and the page; those that are missing are None."""
    values: Callable[[str, str], dict[str, Any]] = lambda _row, _owner: {}
    """Returns further columns of a row with an id, of ``mine`` or ``theirs``."""
    time: str = "created_time"
    descending: bool = False
    can_be_without_time: bool = False


def of_parent(*columns: str, **values: Any) -> Callable[[str, str], dict[str, Any]]:
    """Return the columns of a row with the ids of its parents, which ``parents`` adds."""
    return lambda _row, owner: {**{column: f"{column} {owner}" for column in columns}, **values}


OF_MODEL, OF_DATASET = {"model_id": "model_id mine"}, {"dataset_id": "dataset_id mine"}
OF_EXECUTIONS = [
    Listed(
        module.LISTS[sort_by, order],
        table,
        {f"{parent}_id": f"{parent}_id mine"},
        of_parent(f"{parent}_id"),
        time={"startTime": "start_time", "endTime": "end_time"}[sort_by],
        descending=order == "descending",
        can_be_without_time=table == "transition_execution" or sort_by == "endTime",
    )
    for module, table, parent in (
        (transition_executions, "transition_execution", "transition"),
        (workflow_executions, "workflow_execution", "workflow"),
    )
    for sort_by, order in module.LISTS
]
WORKFLOW_ARGUMENTS = {"month": "2026-01", "development_allowance": 1}

LISTS = [
    Listed(app_clients.list_app_clients, "app_client", values=lambda row, owner: {"client_id": row + owner}),
    Listed(assets.list_assets, "asset"),
    Listed(audit_events.list_audit_events_ascending, "audit_event", time="time"),
    Listed(audit_events.list_audit_events_descending, "audit_event", time="time", descending=True),
    Listed(consents.list_documents, "document", {"consent_id": "c"}, of_parent(consent_id="c")),
    Listed(consents.list_predictions, "prediction", {"document_id": "d"}, of_parent(document_id="d")),
    Listed(data_bundles.list_data_bundles, "data_bundle", OF_MODEL, of_parent("model_id")),
    Listed(datasets.list_datasets, "dataset"),
    Listed(deployment_environments.list_deployment_environments, "deployment_environment"),
    Listed(documents.list_documents_ascending, "document"),
    Listed(documents.list_documents_descending, "document", descending=True),
    Listed(documents.list_documents_to_delete, "document"),
    Listed(logs.list_logs_ascending, "log", time="start_time"),
    Listed(logs.list_logs_descending, "log", time="start_time", descending=True),
    Listed(models.list_models, "model"),
    Listed(payment_methods.list_payment_methods, "payment_method"),
    Listed(predictions.list_predictions_ascending, "prediction"),
    Listed(predictions.list_predictions_descending, "prediction", descending=True),
    Listed(secrets.list_secrets, "secret"),
    Listed(trainings.list_trainings, "training", OF_MODEL, of_parent("model_id")),
    Listed(transformations.list_transformations, "transformation", OF_DATASET, of_parent("dataset_id")),
    Listed(transitions.list_transitions, "transition", values=of_parent(transition_type="docker")),
    Listed(users.list_users, "organization_user", values=lambda row, _owner: {"email": row}),
    Listed(webhooks.list_webhooks, "webhook"),
    Listed(
        webhooks.list_webhook_attempts,
        "webhook_attempt",
        {"webhook_id": "webhook_id mine"},
        of_parent("webhook_id", "delivery_id"),
        descending=True,
    ),
    Listed(workflows.list_workflows, "workflow", WORKFLOW_ARGUMENTS),
    *OF_EXECUTIONS,
]
ELSEWHERE = {"erasures", "organizations.list_organizations", "object_owners", "plans.list_plans"}
"""Lists whose pages are tested with their module: they list what other statements do not."""


async def parents(connection: Connection, owner: str, organization_id: OrganizationId) -> None:
    """Add what rows belong to, of an owner that is called ``mine`` or ``theirs``."""
    own = {"organization_id": organization_id, "created_time": START - timedelta(days=1)}
    await insert(connection, "model", **own, id=f"model_id {owner}")
    await insert(connection, "dataset", **own, id=f"dataset_id {owner}")
    await insert(connection, "transition", **own, id=f"transition_id {owner}", transition_type="manual")
    await insert(connection, "workflow", **own, id=f"workflow_id {owner}")
    await insert(connection, "webhook", **own, id=f"webhook_id {owner}")
    await insert(
        connection, "webhook_delivery", **own, id=f"delivery_id {owner}", webhook_id=f"webhook_id {owner}"
    )


@pytest_asyncio.fixture(loop_scope="module")
async def listed(
    request: pytest.FixtureRequest, connection: Connection, mine: Tenant, theirs: Tenant
) -> tuple[Listed, list[str]]:
    """Rows of two organizations at the same times, and the ids of ``mine`` in their order."""
    case: Listed = request.param
    seconds = SECONDS | (WITHOUT_TIME if case.can_be_without_time else {})
    for owner, tenant in (("theirs", theirs), ("mine", mine)):
        await parents(connection, owner, tenant.organization_id)
        # Rows of parents and app clients of the organizations are older than all others: out of the way.
        for table in ("app_client", case.table):
            await connection.execute(f"DELETE FROM {table} WHERE id LIKE 'las:%' OR id LIKE '%\\_id %'")
        for row, second in seconds.items():
            await insert(
                connection,
                case.table,
                **{
                    "organization_id": tenant.organization_id,
                    "id": f"{row} of {owner}",
                    case.time: None if second is None else START + timedelta(seconds=second),
                    **case.values(row, owner),
                },
            )
    last = max(second for second in seconds.values() if second is not None) + 1
    order = sorted(seconds, key=lambda row: (last if seconds[row] is None else seconds[row], row))
    return case, [f"{row} of mine" for row in (reversed(order) if case.descending else order)]


async def walk(
    connection: Connection, case: Listed, organization_id: OrganizationId, limit: int
) -> list[str]:
    """Return the ids of all pages of at most ``limit`` rows."""
    names = case.statement.hints.keys() - {"organization_id", "after_time", "after_id", "limit"}
    arguments = {**dict.fromkeys(names), **case.arguments, "organization_id": organization_id, "limit": limit}
    after: dict[str, Any] = {"after_time": None, "after_id": None}
    ids: list[str] = []
    while rows := await case.statement(connection, **arguments, **after):
        assert len(rows) <= limit
        assert all(getattr(row, "rows_in_page", len(rows)) == len(rows) for row in rows)
        ids += [row.id for row in rows]
        after = {"after_time": getattr(rows[-1], case.time), "after_id": rows[-1].id}
    return ids


@pytest.mark.parametrize("listed", LISTS, indirect=True, ids=lambda case: case.statement.name)
async def test_pages_of_any_size_have_each_row_once_and_in_order(
    connection: Connection, mine: Tenant, listed: tuple[Listed, list[str]]
) -> None:
    case, expected = listed
    for limit in (1, 2, 3, len(expected), 100):
        assert await walk(connection, case, mine.organization_id, limit) == expected, limit


@pytest.mark.parametrize("listed", LISTS[1:2], indirect=True, ids=lambda case: case.statement.name)
async def test_a_row_that_is_deleted_between_two_pages_moves_no_other(
    connection: Connection, mine: Tenant, listed: tuple[Listed, list[str]]
) -> None:
    expected = listed[1]
    page = {"organization_id": mine.organization_id, "limit": 3}
    first = await assets.list_assets(connection, **page, after_time=None, after_id=None)
    await connection.execute("DELETE FROM asset WHERE id = $1", first[-1].id)
    after = {"after_time": first[-1].created_time, "after_id": first[-1].id}
    second = await assets.list_assets(connection, **page, **after)
    assert [row.id for row in (*first, *second)] == expected[:6]


async def test_every_list_in_pages_is_here() -> None:
    named = {
        name
        for name, statement in load_statements().items()
        if not statement.crosses and "after_id" in statement.hints
    }
    covered = {case.statement.name for case in LISTS}
    rest = named - covered
    assert covered <= named
    assert {name if name in ELSEWHERE else name.partition(".")[0] for name in rest} == ELSEWHERE
