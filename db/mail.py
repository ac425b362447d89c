"""Mail that is queued: each is a job, written in the transaction that it tells of.

Nothing is queued unless the dispatcher has a mail server, which the statement itself looks at. The payload
has what the message is made of, not its text.
"""

from __future__ import annotations

from db.jobs import NEW_ID, queueing
from db.statements import UntypedStatement
from db.statements import untyped_crossing as crossing
from db.statements import untyped_tenant as tenant

KIND = "mail"
PRIORITY = 10
MAXIMUM_ATTEMPTS = 8
"""Over about 18 hours; ``pagemill.work.mail`` has the delays."""
ADMIN = "las:role:admin"

SET_MAIL_SERVICE = crossing(
    "mail.set_service",
    "touches no tenant data; who sends the mail says whether it can",
    """
    INSERT INTO mail_service AS service (id, available) VALUES (1, $1)
    ON CONFLICT (id) DO UPDATE SET available = $1, updated_time = now() WHERE service.available <> $1
    """,
)

AVAILABLE = "EXISTS (SELECT FROM mail_service WHERE available)"


def queueing_mail(name: str, *, parts: str, recipients: str, payload: str) -> UntypedStatement:
    """Return a statement that queues the same mail for each address of ``recipients``; it returns how many.

    ``parts`` are CTEs, each with a comma behind it, that the other two read.
    """
    return tenant(
        name,
        queueing(
            f"'{KIND}'",
            f"""
            SELECT organization.id, job_id, '{KIND}', job_id,
                jsonb_build_object(
                    'to', address, 'organization', coalesce(organization.name, organization.id)
                ) || {payload},
                {PRIORITY}, {MAXIMUM_ATTEMPTS}
            FROM recipient JOIN organization ON organization.id = $1
            """,
            parts=f"""
            {parts} recipient AS MATERIALIZED (
                SELECT address, {NEW_ID} AS job_id
                FROM (SELECT DISTINCT address FROM ({recipients}) AS one) AS each
                WHERE {AVAILABLE}
            ),
            """,
        ),
    )


# The owners of an organization are its active admins.
OWNERS = f"""
    SELECT email AS address FROM organization_user
    WHERE organization_id = $1 AND status = 'active' AND role_ids ? '{ADMIN}'
"""

MAIL_TRAINING = queueing_mail(
    "mail.training",
    parts="",
    recipients=f"""
        {OWNERS}
        UNION ALL
        SELECT starter.email FROM organization_user AS starter
        JOIN training ON training.organization_id = $1 AND training.id = $2
            AND training.created_by = starter.id
        WHERE starter.organization_id = $1 AND starter.status = 'active'
    """,
    payload="""(
        SELECT jsonb_build_object(
            'notice', 'training', 'status', $3::text, 'trainingId', training.id, 'modelId', model.id,
            'training', coalesce(training.name, training.id), 'model', coalesce(model.name, model.id)
        )
        FROM training JOIN model ON model.organization_id = $1 AND model.id = training.model_id
        WHERE training.organization_id = $1 AND training.id = $2
    )""",
)

# The button leads to the login page of the app client that the invitation is for, when it has one.
MAIL_INVITATION = queueing_mail(
    "mail.invitation",
    parts="",
    recipients="SELECT $2::text AS address",
    payload="""jsonb_build_object('notice', 'invitation', 'days', $4::integer, 'url', (
        SELECT configuration ->> 'defaultLoginUrl' FROM app_client WHERE organization_id = $1 AND id = $3
    ))""",
)

# To the address in the workflow's errorConfig, when it has one.
MAIL_FAILED_EXECUTION = queueing_mail(
    "mail.failed_execution",
    parts="""
        workflow_of AS MATERIALIZED (
            SELECT coalesce(name, id) AS name, error_config ->> 'email' AS email
            FROM workflow WHERE organization_id = $1 AND id = $2
        ),
    """,
    recipients="SELECT email AS address FROM workflow_of WHERE email IS NOT NULL",
    payload="""jsonb_build_object(
        'notice', 'execution', 'workflow', (SELECT name FROM workflow_of), 'workflowId', $2,
        'executionId', $3::text, 'error', $4::text, 'cause', $5::text, 'waits', $6::boolean
    )""",
)
