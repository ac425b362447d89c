"""Piccolo tables: the columns, keys, foreign keys and unique constraints of the schema.

``db/migrations`` creates the schema; a test compares the two. Checks and indexes are in the migrations only.
Ids are the API's own text ids. Tenant tables carry ``organization_id``. A primary key consists of all columns
with ``primary_key=True``.
"""

from __future__ import annotations

from piccolo.table import Table

from db.tables.assets import Asset, Secret
from db.tables.documents import Dataset, Document, ErasedResource, Transformation
from db.tables.jobs import Dispatcher, Job
from db.tables.models import DataBundle, DeploymentEnvironment, Model, Prediction, Training
from db.tables.notices import MailService, Webhook, WebhookAttempt, WebhookDelivery
from db.tables.organizations import (
    AppClient,
    IdempotencyKey,
    Organization,
    OrganizationUser,
    Plan,
    Profile,
    RequestAllowance,
    Role,
)
from db.tables.signing_in import (
    AuditEvent,
    AuthorizationCode,
    Identity,
    OneTimeCode,
    Password,
    RefreshToken,
    SigningKey,
    SignInSession,
    TokenGrant,
)
from db.tables.usage import LimitWarning, MonthStatement, PaymentMethod, UsageCounter, UsageReservation
from db.tables.workflows import (
    ContainerCredential,
    Log,
    LogEvent,
    Transition,
    TransitionExecution,
    Workflow,
    WorkflowExecution,
    WorkflowMail,
)

ALL_TABLES: tuple[type[Table], ...] = (
    Plan,
    Organization,
    Role,
    AppClient,
    Profile,
    OrganizationUser,
    SigningKey,
    Password,
    Identity,
    SignInSession,
    AuthorizationCode,
    TokenGrant,
    RefreshToken,
    OneTimeCode,
    AuditEvent,
    IdempotencyKey,
    RequestAllowance,
    UsageCounter,
    UsageReservation,
    LimitWarning,
    MonthStatement,
    PaymentMethod,
    Job,
    Dispatcher,
    Dataset,
    Document,
    ErasedResource,
    Transformation,
    Model,
    DataBundle,
    DeploymentEnvironment,
    Training,
    Prediction,
    Transition,
    Workflow,
    WorkflowExecution,
    WorkflowMail,
    TransitionExecution,
    Log,
    LogEvent,
    ContainerCredential,
    Asset,
    Secret,
    MailService,
    Webhook,
    WebhookDelivery,
    WebhookAttempt,
)
"""Each table after those that it references."""
