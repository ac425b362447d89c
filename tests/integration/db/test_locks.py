"""Locks that statements take until their transaction ends, seen from another connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal

import asyncpg
import pytest
import pytest_asyncio

from db import (
    assets,
    claims,
    data_bundles,
    datasets,
    documents,
    job_leases,
    jobs,
    models,
    payment_methods,
    plans,
    refresh_tokens,
    retention,
    roles,
    secrets,
    transition_executions,
    transitions,
    webhook_deliveries,
    webhooks,
    workflow_executions,
    workflow_mail,
    workflow_progress,
    workflows,
)
from db.pool import connect
from db.statements import Connection, Statement
from tests.support.everything import insert
from tests.support.full_organization import FullOrganization, State, add_full_organization
from tests.support.statement_arguments import arguments_of
from tests.unit.db.test_statements import load_statements

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOCK_TIMEOUT = "10ms"
"""How long the other connection waits for a lock before it is refused."""


@dataclass(frozen=True, slots=True)
class Locking:
    """A statement that locks a row."""

    statement: Statement[..., Any]
    table: str
    id_type: str
    strength: Literal["exclusive", "shared", "key"] = "exclusive"
    """An exclusive lock keeps everybody else out; a shared one the changes, a key lock only a deletion."""
    state: State = "open"


EXCLUSIVE = [
    Locking(assets.lock_asset, "asset", "AssetId"),
    Locking(data_bundles.lock_data_bundle, "data_bundle", "DataBundleId"),
    Locking(datasets.lock_dataset, "dataset", "DatasetId"),
    Locking(documents.lock_contents, "document", "DocumentId"),
    Locking(documents.lock_document, "document", "DocumentId"),
    Locking(models.lock_model, "model", "ModelId"),
    Locking(payment_methods.lock_payment_method, "payment_method", "PaymentMethodId"),
    Locking(plans.lock_plan_version, "plan", "PlanId"),
    Locking(refresh_tokens.lock_grant_of, "token_grant", "GrantId"),
    Locking(retention.lock_due_documents, "document", "DocumentId", state="ended"),
    Locking(roles.lock_role, "role", "RoleId"),
    Locking(secrets.lock_secret, "secret", "SecretId"),
    Locking(transition_executions.lock_newest_step, "transition_execution", "TransitionExecutionId"),
    Locking(transition_executions.lock_transition_execution, "transition_execution", "TransitionExecutionId"),
    Locking(transitions.lock_transition, "transition", "TransitionId"),
    Locking(webhooks.lock_owner, "organization", "OrganizationId"),
    Locking(workflow_executions.lock_workflow_execution, "workflow_execution", "WorkflowExecutionId"),
    Locking(workflows.lock_workflow, "workflow", "WorkflowId"),
]
SHARED = [
    Locking(assets.keep_assets, "asset", "AssetId", "key"),
    Locking(data_bundles.keep_data_bundles, "data_bundle", "DataBundleId", "shared"),
    Locking(datasets.keep_dataset, "dataset", "DatasetId", "key"),
    Locking(jobs.hold_attempt, "job", "JobId", "shared"),
    Locking(models.keep_model, "model", "ModelId", "key"),
    Locking(payment_methods.keep_payment_method, "payment_method", "PaymentMethodId", "key"),
    Locking(secrets.keep_secrets, "secret", "SecretId", "key"),
    Locking(transitions.keep_transition, "transition", "TransitionId", "key"),
    Locking(transitions.keep_transitions, "transition", "TransitionId", "key"),
    Locking(webhook_deliveries.keep_webhook, "webhook", "WebhookId", "key"),
    Locking(webhook_deliveries.queue_deliveries, "webhook", "WebhookId", "key"),
    Locking(workflow_mail.keep_mailed_workflow, "workflow", "WorkflowId", "key"),
    Locking(workflows.keep_workflow, "workflow", "WorkflowId", "key"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(module_connection: Connection) -> FullOrganization:
    await add_full_organization(module_connection, "other")
    full = await add_full_organization(module_connection, "full")
    await insert(module_connection, "role", id=full.ids["open"]["RoleId"])
    # The leases of both running jobs have expired.
    await module_connection.execute("UPDATE job SET lease_expires = now() WHERE state = 'running'")
    return full


@pytest_asyncio.fixture(loop_scope="module")
async def second(module_database_url: str, full: FullOrganization) -> AsyncIterator[Connection]:
    """Another connection, in a transaction of its own that does not wait long for locks."""
    connection = await connect(module_database_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    yield connection
    await transaction.rollback()
    await connection.close()


async def run(
    connection: Connection, case: Locking, full: FullOrganization, *, organization: str = "full"
) -> Any:
    """Run the statement with the ids of the rows of ``full``."""
    arguments = dict(arguments_of(case.statement, full))[case.state]
    if "organization_id" in case.statement.hints:
        arguments["organization_id"] = f"las:organization:{organization}"
    return await case.statement(connection, **arguments)


async def waits(connection: Connection, sql: str, *arguments: Any) -> bool:
    """Return whether a statement has to wait for a lock."""
    try:
        async with connection.transaction():
            await connection.execute(sql, *arguments)
    except asyncpg.LockNotAvailableError:
        return True
    return False


@pytest.mark.parametrize("case", EXCLUSIVE, ids=lambda case: case.statement.name)
async def test_a_locked_row_is_locked_once(
    connection: Connection, second: Connection, full: FullOrganization, case: Locking
) -> None:
    assert await run(connection, case, full)
    with pytest.raises(asyncpg.LockNotAvailableError):
        await run(second, case, full)


@pytest.mark.parametrize("case", EXCLUSIVE, ids=lambda case: case.statement.name)
async def test_only_the_row_itself_is_locked(
    connection: Connection, second: Connection, full: FullOrganization, case: Locking
) -> None:
    await run(connection, case, full)
    copy = f"{full.ids[case.state][case.id_type]}-copy"
    await second.execute(
        f"SELECT FROM {case.table} WHERE id <> $1 AND id <> $2 FOR NO KEY UPDATE",
        full.ids[case.state][case.id_type],
        copy if case.statement is retention.lock_due_documents else "",
    )


@pytest.mark.parametrize("case", SHARED, ids=lambda case: case.statement.name)
async def test_a_row_that_is_kept_is_not_deleted(
    connection: Connection, second: Connection, full: FullOrganization, case: Locking
) -> None:
    assert await run(connection, case, full)
    assert await run(second, case, full), "several may keep it"
    id_ = full.ids["open"][case.id_type]
    update = f"UPDATE {case.table} SET created_time = created_time WHERE id = $1"
    assert await waits(second, f"SELECT FROM {case.table} WHERE id = $1 FOR UPDATE", id_)
    assert await waits(second, update, id_) == (case.strength == "shared")


@pytest.mark.parametrize(
    "case",
    [case for case in EXCLUSIVE + SHARED if not case.statement.crosses],
    ids=lambda case: case.statement.name,
)
async def test_another_organization_locks_nothing(
    connection: Connection, second: Connection, full: FullOrganization, case: Locking
) -> None:
    await run(connection, case, full, organization="other")
    assert not await waits(
        second,
        f"SELECT FROM {case.table} WHERE id = $1 FOR UPDATE",
        full.ids[case.state][case.id_type],
    )


async def test_jobs_that_others_are_claiming_are_passed_over(
    connection: Connection, second: Connection, full: FullOrganization
) -> None:
    claim = {"kind": "prediction", "owner": "worker", "lease": 60.0}
    (mine,) = await job_leases.claim_jobs(connection, **claim, limit=1)
    (others,) = await job_leases.claim_jobs(second, **claim, limit=10)
    assert {mine.id, others.id} == {"full-job-waiting", "other-job-waiting"}


async def test_an_execution_that_others_are_claiming_is_passed_over(
    connection: Connection, second: Connection, full: FullOrganization
) -> None:
    transition = {
        "organization_id": full.organization_id,
        "transition_id": full.ids["waiting"]["TransitionId"],
        "claimed_by": "ada",
    }
    assert await claims.claim_next_execution(connection, **transition) is not None
    assert await claims.claim_next_execution(second, **transition) is None


@pytest.mark.parametrize(
    ("statement", "arguments", "number"),
    [
        (job_leases.lock_expired_jobs, {"limit": 10, "kinds": ["prediction"]}, 2),
        (job_leases.delete_old_jobs, {"retention": 60.0, "limit": 10}, 4),
    ],
)
async def test_jobs_that_others_look_after_are_passed_over(
    connection: Connection,
    second: Connection,
    full: FullOrganization,
    statement: Statement[..., Any],
    arguments: dict[str, Any],
    number: int,
) -> None:

    async def count(connection: Connection) -> int:
        result = await statement(connection, **arguments)
        return len(result) if isinstance(result, list) else int(result)

    assert await count(connection) == number
    assert await count(second) == 0


async def test_a_job_that_its_worker_holds_is_not_waited_for_to_cancel_it(
    connection: Connection, second: Connection, full: FullOrganization
) -> None:
    """The worker may wait for the execution that the canceller holds."""
    ids = full.ids["open"]
    job = {"organization_id": full.organization_id, "job_id": ids["JobId"], "attempt": 1}
    cancel = {
        "organization_id": full.organization_id,
        "subject_ids": [ids["SubjectId"]],
        "kinds": ["prediction"],
    }
    assert await jobs.hold_attempt(connection, **job)
    assert await jobs.cancel_jobs_of_subjects(second, **cancel) == [ids["SubjectId"]]
    assert await jobs.cancel_jobs_of_subjects(connection, **cancel) == []
    assert await jobs.hold_attempt(connection, **job) is None


async def test_an_execution_is_locked_without_its_workflow(
    connection: Connection, second: Connection, full: FullOrganization
) -> None:
    """Executions of one workflow go on beside each other."""
    ids = full.ids["open"]
    await workflow_executions.lock_workflow_execution(
        connection, organization_id=full.organization_id, execution_id=ids["WorkflowExecutionId"]
    )
    assert await workflows.lock_workflow(
        second, organization_id=full.organization_id, workflow_id=ids["WorkflowId"]
    )


async def test_steps_that_end_together_are_locked_and_their_executions(
    connection: Connection, second: Connection, full: FullOrganization
) -> None:
    ids = full.ids["open"]
    asked = {"organization_ids": [full.organization_id], "execution_ids": [ids["TransitionExecutionId"]]}
    [execution] = await workflow_progress.lock_executions_of_steps(connection, **asked)
    assert await waits(second, "SELECT FROM workflow_execution WHERE id = $1 FOR UPDATE", execution.id)
    assert not await waits(second, "SELECT FROM workflow WHERE id = $1 FOR UPDATE", execution.workflow_id)
    [step] = await workflow_progress.lock_steps(connection, **asked)
    assert await waits(second, "SELECT FROM transition_execution WHERE id = $1 FOR UPDATE", step.id)


async def test_every_statement_that_locks_and_returns_is_here() -> None:
    named = {
        name
        for name in load_statements()
        if name.partition(".")[2].partition("_")[0] in ("lock", "keep", "hold")
    }
    several = {
        *("jobs.lock_open_jobs_of_many", "job_leases.lock_expired_jobs", "usage.lock_remaining"),
        *("transition_executions.lock_running_executions", "transition_executions.lock_running_steps"),
        *("workflow_progress.lock_executions_of_steps", "workflow_progress.lock_steps"),
        # tests/integration/api/auth/test_authorization_codes.py exchanges one code twice at the same time.
        "authorization_codes.lock_authorization_code",
        # tests/integration/api/auth/test_ends_at_once.py ends a session while its code is exchanged.
        "authorization_codes.keep_session_of_code",
    }
    assert {case.statement.name for case in EXCLUSIVE + SHARED} == (
        named - several | {"webhook_deliveries.queue_deliveries"}
    )
