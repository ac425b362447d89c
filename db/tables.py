"""Piccolo tables: the schema from which migrations are made.

Ids are the API's own text ids. Tenant tables carry ``organization_id``. Constraints and indexes that
Piccolo cannot express stand in the migrations.
"""

from __future__ import annotations

from decimal import Decimal

from piccolo.columns import (
    JSON,
    JSONB,
    BigInt,
    BigSerial,
    Boolean,
    Bytea,
    DoublePrecision,
    Integer,
    Numeric,
    Text,
    Timestamptz,
)
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table


class Plan(Table, tablename="plan"):
    """One version of a plan. ``definition`` holds the API's sub-objects, ``allowed`` meter -> limit."""

    id = Text(primary_key=True, help_text="las:plan:<slug>:<version>")
    slug = Text(index=True, help_text="las:plan:<slug>")
    version = Integer()
    organization_id = Text(null=True, default=None, help_text="owner; null: everybody's")
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    available = Boolean(default=True)
    currency = Text(default="EUR")
    limited_by = Text(default="pages", help_text="pages or fields: what limits predictions")
    definition = JSONB(default="{}")
    allowed = JSONB(default="{}")
    created_time = Timestamptz(default=TimestamptzNow())


class Organization(Table, tablename="organization"):
    id = Text(primary_key=True, help_text="las:organization:<slug>")
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    plan_id = Text(null=True, default=None)
    payment_method_id = Text(null=True, default=None)
    document_retention_in_days = Integer(default=1825)
    created_time = Timestamptz(default=TimestamptzNow())
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class Role(Table, tablename="role"):
    """Seeded, the same for all organizations."""

    id = Text(primary_key=True, help_text="las:role:<slug>")
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    permissions = JSONB(default="[]")
    created_time = Timestamptz(default=TimestamptzNow())


class AppClient(Table, tablename="app_client"):
    id = Text(primary_key=True, help_text="las:app-client:<slug>")
    organization_id = Text(index=True)
    client_id = Text(unique=True)
    secret_hash = Text(null=True, default=None, help_text="sha256 of the (random) secret, hex; null: public")
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    configuration = JSONB(default="{}", help_text="callbackUrls, logoutUrls, loginUrls, defaultLoginUrl")
    role_ids = JSONB(default="[]")
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class UsageCounter(Table, tablename="usage_counter"):
    """One meter of one organization in one month (UTC, ``YYYY-MM``; ``total`` for what is no monthly meter).

    The primary key (organization_id, month, meter) is made in the migration.
    """

    organization_id = Text()
    month = Text()
    meter = Text()
    used = Numeric(default=Decimal(0))


class UsageReservation(Table, tablename="usage_reservation"):
    """What a job has been granted of a meter; a retried job is granted it once, a failed one gives it back.

    The primary key (job_id, meter) is made in the migration.
    """

    organization_id = Text()
    job_id = Text()
    month = Text()
    meter = Text()
    amount = Numeric(default=Decimal(0))


class Dataset(Table, tablename="dataset"):
    id = Text(primary_key=True)
    organization_id = Text()
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    metadata = JSONB(null=True, default=None)
    retention_in_days = Integer(default=1825)
    contains_pii = Boolean(default=True)
    number_of_documents = Integer(default=0)
    ground_truth_summary = JSONB(default="{}")
    version = Integer(default=0)
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class Document(Table, tablename="document"):
    """``content_key`` names the object with the bytes; each upload writes a new key, then switches."""

    id = Text(primary_key=True)
    organization_id = Text()
    dataset_id = Text(null=True, default=None)
    consent_id = Text(null=True, default=None)
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    metadata = JSONB(null=True, default=None)
    ground_truth = JSONB(default="[]")
    retention_in_days = Integer(default=1825)
    content_key = Text(null=True, default=None)
    content_type = Text(null=True, default=None)
    content_md5 = Text(null=True, default=None)
    content_size = BigInt(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class Model(Table, tablename="model"):
    id = Text(primary_key=True)
    organization_id = Text()
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    metadata = JSONB(default="{}")
    field_config = JSON(default="{}", help_text="JSON, not JSONB: the order of its fields is kept")
    preprocess_config = JSONB(default="{}")
    postprocess_config = JSONB(default="{}")
    training_id = Text(null=True, default=None)
    shared = Boolean(default=False, help_text="other organizations see it and predict with it")
    version = Integer(default=0)
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class DataBundle(Table, tablename="data_bundle"):
    """``object_key`` names the snapshot (documents, ground truth, readings) that trainings learn from."""

    id = Text(primary_key=True)
    organization_id = Text()
    model_id = Text()
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    datasets = JSONB(default="[]")
    summary = JSONB(null=True, default=None)
    status = Text(default="running", help_text="running, succeeded, failed")
    object_key = Text(null=True, default=None)
    retention_in_days = Integer(default=1825)
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class Training(Table, tablename="training"):
    """``artefact_key`` is the prefix of ``weights.safetensors`` and ``configuration.json``."""

    id = Text(primary_key=True)
    organization_id = Text()
    model_id = Text()
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    metadata = JSONB(null=True, default=None)
    data_bundle_ids = JSONB(default="[]")
    warm_start_config = JSONB(null=True, default=None)
    instance_type = Text(default="small-gpu")
    data_scientist_assistance = Boolean(default=False)
    deployment_environment_id = Text(null=True, default=None)
    status = Text(default="pending", help_text="the API's training states")
    evaluation = JSONB(default="{}")
    gpu_hours = DoublePrecision(null=True, default=None)
    artefact_key = Text(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class Prediction(Table, tablename="prediction"):
    """``model_reference`` is the modelId as the caller gave it (plain or composite)."""

    id = Text(primary_key=True)
    organization_id = Text()
    document_id = Text()
    model_id = Text()
    model_reference = Text()
    training_id = Text()
    preprocess_config = JSONB(default="{}")
    postprocess_config = JSONB(default="{}")
    status = Text(default="pending", help_text="pending, succeeded, failed")
    predictions = JSONB(null=True, default=None)
    error = Text(null=True, default=None)
    inference_time = DoublePrecision(null=True, default=None)
    next_page = Integer(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)


class Job(Table, tablename="job"):
    """A durable job. ``attempt`` is the fencing token; the first terminal write wins."""

    id = Text(primary_key=True, help_text="uuid4 hex; of a scheduled job its kind, organization and time")
    kind = Text(help_text="one of pagemill.jobs.job.JobKind")
    organization_id = Text()
    subject_id = Text(help_text="id of the resource the job works for")
    payload = JSONB(default="{}")
    state = Text(default="queued", help_text="queued, running, succeeded, failed, cancelled")
    priority = Integer(default=0, help_text="smaller is sooner: 0 interactive, 10 batch")
    attempt = Integer(default=0)
    maximum_attempts = Integer(default=3)
    lost_workers = Integer(default=0, help_text="how many workers died of it, or with it")
    run_after = Timestamptz(default=TimestamptzNow())
    lease_owner = Text(null=True, default=None)
    lease_expires = Timestamptz(null=True, default=None)
    cancel_requested = Boolean(default=False)
    error_class = Text(null=True, default=None)
    error_message = Text(null=True, default=None)
    retryable = Boolean(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())
    started_time = Timestamptz(null=True, default=None)
    ended_time = Timestamptz(null=True, default=None)


class Asset(Table, tablename="asset"):
    """``content_key`` names the object with the bytes; each change writes a new key, then switches."""

    id = Text(primary_key=True)
    organization_id = Text()
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    content_key = Text()
    content_md5 = Text()
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class Secret(Table, tablename="secret"):
    """``ciphertext`` is the data under the key named ``key_id``, which the database does not hold."""

    id = Text(primary_key=True)
    organization_id = Text()
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    key_id = Text()
    nonce = Bytea()
    ciphertext = Bytea()
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class PaymentMethod(Table, tablename="payment_method"):
    """``stripe_setup_intent_id`` is null for one that the operator handles by hand."""

    id = Text(primary_key=True)
    organization_id = Text()
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    details = JSONB(null=True, default=None)
    setup_intent_secret_hash = Text(null=True, default=None, help_text="sha256, hex")
    stripe_setup_intent_id = Text(null=True, default=None)
    stripe_payment_method_id = Text(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class DeploymentEnvironment(Table, tablename="deployment_environment"):
    """Where trainings are deployed to; the operator defines them. A null owner is everybody's."""

    id = Text(primary_key=True, help_text="las:deployment-environment:<slug>")
    organization_id = Text(null=True, default=None)
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    model_deployment_units = Integer(default=0)
    status = Text(default="available", help_text="available, unavailable")
    created_time = Timestamptz(default=TimestamptzNow())


class Profile(Table, tablename="profile"):
    """A person, who may be a user of several organizations."""

    id = Text(primary_key=True)
    email = Text(unique=True)
    given_name = Text(null=True, default=None)
    family_name = Text(null=True, default=None)
    name = Text(null=True, default=None)
    picture = Text(null=True, default=None)
    locale = Text(null=True, default=None)
    metadata = JSONB(null=True, default=None)
    number_of_organizations_allowed = Integer(default=1)
    number_of_organizations_created = Integer(default=0)
    created_time = Timestamptz(default=TimestamptzNow())
    updated_time = Timestamptz(null=True, default=None)


class OrganizationUser(Table, tablename="organization_user"):
    """A user of the API: a person's membership in one organization, from the invitation on."""

    id = Text(primary_key=True, help_text="las:user:<hex>")
    organization_id = Text()
    email = Text()
    profile_id = Text(null=True, default=None, help_text="null until the first sign-in")
    app_client_id = Text(null=True, default=None, help_text="the invitation leads to its defaultLoginUrl")
    status = Text(default="invite_pending", help_text="inactive, active, invite_pending")
    invitation_expires = Timestamptz(null=True, default=None)
    metadata = JSONB(null=True, default=None)
    role_ids = JSONB(default="[]")
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class Transformation(Table, tablename="transformation"):
    """Changes a dataset; its job does the work."""

    id = Text(primary_key=True, help_text="las:dataset-transformation:<hex>")
    organization_id = Text()
    dataset_id = Text()
    operations = JSONB(default="[]")
    status = Text(default="running", help_text="running, succeeded, failed")
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class Transition(Table, tablename="transition"):
    id = Text(primary_key=True)
    organization_id = Text()
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    transition_type = Text(help_text="docker, manual, lambda")
    parameters = JSONB(default="{}")
    timeout_in_seconds = Integer()
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class Workflow(Table, tablename="workflow"):
    """``definition`` is the state machine; it never changes and is never shown."""

    id = Text(primary_key=True)
    organization_id = Text()
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    metadata = JSONB(null=True, default=None)
    definition = JSONB()
    completed_config = JSONB(null=True, default=None)
    error_config = JSONB(null=True, default=None)
    email_config = JSONB(null=True, default=None)
    status = Text(default="development", help_text="development, production")
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class WorkflowExecution(Table, tablename="workflow_execution"):
    """One run of a workflow; ``state`` names the state that it waits in."""

    id = Text(primary_key=True)
    organization_id = Text()
    workflow_id = Text()
    input = JSONB(default="{}")
    output = JSONB(null=True, default=None)
    state = Text(null=True, default=None)
    status = Text(
        default="running", help_text="running, succeeded, failed, rejected, retry, error, completed"
    )
    events = JSONB(default="[]")
    completed_by = JSONB(default="[]")
    log_id = Text(null=True, default=None)
    completed_task_log_id = Text(null=True, default=None)
    created_by = Text(null=True, default=None)
    start_time = Timestamptz(default=TimestamptzNow())
    end_time = Timestamptz(null=True, default=None)


class TransitionExecution(Table, tablename="transition_execution"):
    """One run of a transition, alone or as a step; ``claimed_by`` is null while a manual one waits."""

    id = Text(primary_key=True)
    organization_id = Text()
    transition_id = Text()
    workflow_execution_id = Text(null=True, default=None)
    state = Text(null=True, default=None, help_text="the state of the workflow that it is a step of")
    attempt = Integer(default=1, help_text="1 for the first run of the step, then each retry one more")
    input = JSONB(default="{}")
    output = JSONB(null=True, default=None)
    error = JSONB(null=True, default=None)
    status = Text(default="running", help_text="running, succeeded, failed, rejected, retry")
    claimed_by = Text(null=True, default=None)
    claimed_time = Timestamptz(null=True, default=None)
    completed_by = Text(null=True, default=None)
    log_id = Text(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())
    start_time = Timestamptz(null=True, default=None)
    heartbeat_time = Timestamptz(null=True, default=None)
    expires = Timestamptz(null=True, default=None, help_text="it has timed out when it still runs then")
    end_time = Timestamptz(null=True, default=None)


class Log(Table, tablename="log"):
    """What an execution printed; its lines are log_event rows."""

    id = Text(primary_key=True)
    organization_id = Text()
    workflow_id = Text(null=True, default=None)
    workflow_execution_id = Text(null=True, default=None)
    transition_id = Text(null=True, default=None)
    transition_execution_id = Text(null=True, default=None)
    start_time = Timestamptz(default=TimestamptzNow())


class LogEvent(Table, tablename="log_event"):
    """A line of a log; ``id`` keeps lines of the same instant in their order."""

    id = BigSerial(primary_key=True)
    organization_id = Text()
    log_id = Text()
    time = Timestamptz(default=TimestamptzNow())
    message = Text()


class IdempotencyKey(Table, tablename="idempotency_key"):
    """The answer to a POST that carried ``Idempotency-Key``; ``status_code`` is null while it is worked on.

    The primary key (organization_id, principal_id, key) is made in the migration.
    """

    organization_id = Text()
    principal_id = Text()
    key = Text()
    fingerprint = Text(help_text="sha256 of method, path and body, hex")
    status_code = Integer(null=True, default=None)
    body = Bytea(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())


class RequestAllowance(Table, tablename="request_allowance"):
    """The token bucket of an organization's requests; unlogged, since a crash may well fill it up."""

    organization_id = Text(primary_key=True)
    tokens = DoublePrecision(default=0.0)
    granted = Integer(default=0, help_text="how many tokens the last taker got")
    refilled_time = Timestamptz(default=TimestamptzNow())


class MonthStatement(Table, tablename="month_statement"):
    """What a month came to, as it was then. The primary key (organization_id, month) is the migration's."""

    organization_id = Text()
    month = Text()
    content = JSONB()
    created_time = Timestamptz(default=TimestamptzNow())


class MailService(Table, tablename="mail_service"):
    """One row, once a dispatcher has run: whether it has a mail server. Without one no mail is queued."""

    id = Integer(primary_key=True)
    available = Boolean(default=False)
    updated_time = Timestamptz(default=TimestamptzNow())


class LimitWarning(Table, tablename="limit_warning"):
    """A meter of which an organization was told in a month that ``threshold`` percent of it are used.

    The primary key (organization_id, month, meter, threshold) is made in the migration.
    """

    organization_id = Text()
    month = Text()
    meter = Text()
    threshold = Integer()
    created_time = Timestamptz(default=TimestamptzNow())


class Webhook(Table, tablename="webhook"):
    """Where an organization is told of events. Its signing secret is sealed like those of ``secret``."""

    id = Text(primary_key=True)
    organization_id = Text()
    name = Text(null=True, default=None)
    description = Text(null=True, default=None)
    url = Text()
    event_types = JSONB()
    status = Text(default="enabled", help_text="enabled, disabled")
    key_id = Text()
    nonce = Bytea()
    ciphertext = Bytea()
    created_time = Timestamptz(default=TimestamptzNow())
    created_by = Text(null=True, default=None)
    updated_time = Timestamptz(null=True, default=None)
    updated_by = Text(null=True, default=None)


class WebhookDelivery(Table, tablename="webhook_delivery"):
    """An event for one webhook; ``body`` is what is signed and sent. Its jobs have it as their subject."""

    id = Text(primary_key=True)
    organization_id = Text()
    webhook_id = Text()
    event_type = Text()
    body = Text()
    status = Text(default="pending", help_text="pending, succeeded, failed")
    created_time = Timestamptz(default=TimestamptzNow())


class WebhookAttempt(Table, tablename="webhook_attempt"):
    """A delivery that was tried; ``next_attempt_time`` is null after the last attempt."""

    id = Text(primary_key=True)
    organization_id = Text()
    webhook_id = Text()
    delivery_id = Text()
    job_id = Text()
    status_code = Integer(null=True, default=None)
    error = Text(null=True, default=None)
    next_attempt_time = Timestamptz(null=True, default=None)
    created_time = Timestamptz(default=TimestamptzNow())


ALL_TABLES: tuple[type[Table], ...] = (
    Plan,
    Organization,
    Role,
    AppClient,
    UsageCounter,
    UsageReservation,
    Dataset,
    Document,
    Model,
    DataBundle,
    Training,
    Prediction,
    Job,
    Asset,
    Secret,
    PaymentMethod,
    DeploymentEnvironment,
    Profile,
    OrganizationUser,
    Transformation,
    Transition,
    Workflow,
    WorkflowExecution,
    TransitionExecution,
    Log,
    LogEvent,
    IdempotencyKey,
    RequestAllowance,
    MonthStatement,
    MailService,
    LimitWarning,
    Webhook,
    WebhookDelivery,
    WebhookAttempt,
)
