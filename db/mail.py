"""Mail that is queued: each mail is a job, written in the transaction that it tells of.

Nothing is queued unless the dispatcher has a mail server, which the statements themselves look at. The
payload has the data of the message, not its text. Mail that would be more than an organization may send is a
job that has failed, so that it can be seen, and tried again by an operator.
"""

from __future__ import annotations

from typing import Annotated

from db.jobs import NEW_JOB_ID, queueing
from db.statements import Connection, NeverNull, crossing, tenant
from pagemill.ids import AppClientId, CodeId, OrganizationId, TrainingId, WorkflowExecutionId, WorkflowId

KIND = "mail"
PRIORITY = 10
MAXIMUM_ATTEMPTS = 8
"""Over about 18 hours; ``pagemill.work.mail`` has the delays."""
ADMIN = "las:role:admin"
AVAILABLE = "EXISTS (SELECT FROM mail_service WHERE available)"
LIMITED = "MailLimit"
"""The class of the error of mail that was not queued; it does not count as mail of its day."""
OF_THE_DAY = "the organization has sent as much mail today as it may"
TO_A_STRANGER = "mail was sent to this address just now, and nobody of the organization has it"
_SENT = f"""
    SELECT FROM job
    WHERE job.organization_id = :organization_id AND job.kind = '{KIND}'
        AND job.error_class IS DISTINCT FROM '{LIMITED}'
"""
_REFUSAL = f"""
    CASE
        WHEN (
            SELECT count(*) FROM ({_SENT} AND job.created_time >= date_trunc('day', now(), 'UTC')) AS today
        ) >= service.daily_quota THEN '{OF_THE_DAY}'
        WHEN NOT EXISTS (
            SELECT FROM organization_user AS person
            WHERE person.organization_id = :organization_id AND person.status = 'active'
                AND lower(person.email) = lower(address)
        ) AND EXISTS (
            {_SENT} AND lower(job.payload ->> 'to') = lower(address)
                AND job.created_time > now() - make_interval(secs => service.stranger_interval)
        ) THEN '{TO_A_STRANGER}'
    END
"""
"""An expression for why no mail may go to ``address``, null when it may; ``service`` is the mail service."""


@crossing(
    "touches no tenant data; the sender of the mail says whether it can",
    """
    INSERT INTO mail_service AS service (id, available, daily_quota, stranger_interval)
    VALUES (1, :available, :daily_quota, :stranger_interval)
    ON CONFLICT (id) DO UPDATE SET
        available = excluded.available, daily_quota = excluded.daily_quota,
        stranger_interval = excluded.stranger_interval, updated_time = now()
    WHERE (service.available, service.daily_quota, service.stranger_interval)
        <> (excluded.available, excluded.daily_quota, excluded.stranger_interval)
    """,
)
async def set_mail_service(
    connection: Connection, *, available: bool, daily_quota: int, stranger_interval: float
) -> None:
    """Say whether the dispatcher has a mail server, and how much mail an organization may send.

    ``stranger_interval`` are the seconds between two messages to an address of nobody in it.
    """


def queueing_mail(*, recipients: str, payload: str, parts: str = "") -> str:
    """Return SQL that queues the same mail for each address of ``recipients``; it returns how many.

    ``parts`` are CTEs, each with a comma behind it, that the other two read. The organization is
    ``:organization_id``.
    """
    return queueing(
        f"'{KIND}'",
        f"""
        SELECT organization_id, id, '{KIND}', id, payload, {PRIORITY}, {MAXIMUM_ATTEMPTS}
        FROM message WHERE refusal IS NULL
        """,
        parts=f"""
        {parts} message AS MATERIALIZED (
            SELECT organization.id AS organization_id, {NEW_JOB_ID} AS id, {_REFUSAL} AS refusal,
                jsonb_build_object(
                    'to', address, 'organization', coalesce(organization.name, organization.id)
                ) || {payload} AS payload
            FROM (SELECT DISTINCT address FROM ({recipients}) AS one) AS each
            JOIN organization ON organization.id = :organization_id
            JOIN mail_service AS service ON service.available
        ), refused AS (
            INSERT INTO job (
                organization_id, id, kind, subject_id, payload, priority, maximum_attempts, state, ended_time,
                error_class, error_message, retryable
            )
            SELECT organization_id, id, '{KIND}', id, payload, {PRIORITY}, {MAXIMUM_ATTEMPTS},
                'failed', now(), '{LIMITED}', refusal, true
            FROM message WHERE refusal IS NOT NULL
        ),
        """,
    )


def owners_of(organization: str = ":organization_id") -> str:
    """Return a query for the addresses of an organization's owners: its active admins."""
    return f"""
        SELECT email AS address FROM organization_user
        WHERE organization_id = {organization} AND status = 'active' AND role_ids ? '{ADMIN}'
    """


@tenant(
    queueing_mail(
        recipients=f"""
            {owners_of()}
            UNION ALL
            SELECT starter.email FROM organization_user AS starter
            JOIN training ON training.organization_id = :organization_id AND training.id = :training_id
                AND training.created_by = starter.id
            WHERE starter.organization_id = :organization_id AND starter.status = 'active'
        """,
        payload="""(
            SELECT jsonb_build_object(
                'notice', 'training', 'status', :status::text, 'trainingId', training.id,
                'modelId', model.id, 'training', coalesce(training.name, training.id),
                'model', coalesce(model.name, model.id)
            )
            FROM training
            JOIN model ON model.organization_id = :organization_id AND model.id = training.model_id
            WHERE training.organization_id = :organization_id AND training.id = :training_id
        )""",
    )
)
async def mail_training(
    connection: Connection, *, organization_id: OrganizationId, training_id: TrainingId, status: str
) -> Annotated[int, NeverNull("count(*)")]:
    """Queue mail on a training's status to the owners and to the user who started the training."""


@tenant(f"""
    SELECT {_REFUSAL} FROM mail_service AS service CROSS JOIN (SELECT :address::text AS address) AS wanted
    WHERE service.available
""")
async def find_mail_refusal(
    connection: Connection, *, organization_id: OrganizationId, address: str
) -> str | None:
    """Return why an organization may not send mail to an address now, None when it may."""


# The button leads to the login page of the app client that the invitation is for, when it has one. The code
# is not in it: see db.one_time_codes.
@tenant(
    queueing_mail(
        recipients="SELECT :address::text AS address",
        payload="""jsonb_build_object(
            'notice', 'invitation', 'days', :days::integer, 'codeId', :code_id::text,
            'acceptanceUrl', :acceptance_url::text, 'url', (
                SELECT configuration ->> 'defaultLoginUrl' FROM app_client
                WHERE organization_id = :organization_id AND id = :app_client_id
            )
        )""",
    )
)
async def mail_invitation(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    address: str,
    app_client_id: AppClientId | None,
    days: int,
    code_id: CodeId | None,
    acceptance_url: str,
) -> Annotated[int, NeverNull("count(*)")]:
    """Queue an invitation to an organization, with a code that is entered at ``acceptance_url``."""


# To the address in the workflow's errorConfig, when it has one.
@tenant(
    queueing_mail(
        parts="""
            workflow_of AS MATERIALIZED (
                SELECT coalesce(name, id) AS name, error_config ->> 'email' AS email
                FROM workflow WHERE organization_id = :organization_id AND id = :workflow_id
            ),
        """,
        recipients="SELECT email AS address FROM workflow_of WHERE email IS NOT NULL",
        payload="""jsonb_build_object(
            'notice', 'execution', 'workflow', (SELECT name FROM workflow_of),
            'workflowId', :workflow_id::text, 'executionId', :execution_id::text, 'state', :state::text,
            'error', :error::text, 'cause', :cause::text, 'waits', :waits::boolean
        )""",
    )
)
async def mail_failed_execution(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    workflow_id: WorkflowId,
    execution_id: WorkflowExecutionId,
    state: str,
    error: str,
    cause: str,
    waits: bool,
) -> Annotated[int, NeverNull("count(*)")]:
    """Queue mail on a failed execution; ``waits`` says whether a user has to decide how it goes on."""


@crossing(
    "the operator sees how much mail is refused, not whose",
    f"""
    SELECT count(*) FROM job
    WHERE kind = '{KIND}' AND error_class = '{LIMITED}' AND created_time > now() - interval '1 day'
    """,
)
async def count_refused_mail(connection: Connection) -> Annotated[int, NeverNull("count(*)")]:
    """Count the mail of the last day that was more than its organization may send."""
