"""Types of ids, and new ids in the API's form."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, NewType, TypeVar

OrganizationId = NewType("OrganizationId", str)
AppClientId = NewType("AppClientId", str)
AssetId = NewType("AssetId", str)
AuditEventId = NewType("AuditEventId", str)
CodeId = NewType("CodeId", str)
"""A code that is mailed."""
ConsentId = NewType("ConsentId", str)
DataBundleId = NewType("DataBundleId", str)
DatasetId = NewType("DatasetId", str)
DeploymentEnvironmentId = NewType("DeploymentEnvironmentId", str)
DocumentId = NewType("DocumentId", str)
GrantId = NewType("GrantId", str)
"""Id of a grant of a user to an app client, made by signing in."""
JobId = NewType("JobId", str)
LogId = NewType("LogId", str)
ModelId = NewType("ModelId", str)
PaymentMethodId = NewType("PaymentMethodId", str)
PlanId = NewType("PlanId", str)
PredictionId = NewType("PredictionId", str)
PrincipalId = NewType("PrincipalId", str)
"""An app client or a user."""
ProfileId = NewType("ProfileId", str)
RoleId = NewType("RoleId", str)
SecretId = NewType("SecretId", str)
SubjectId = NewType("SubjectId", str)
"""The resource that a job works for, of any type."""
TrainingId = NewType("TrainingId", str)
TransformationId = NewType("TransformationId", str)
TransitionExecutionId = NewType("TransitionExecutionId", str)
TransitionId = NewType("TransitionId", str)
UserId = NewType("UserId", str)
WebhookAttemptId = NewType("WebhookAttemptId", str)
WebhookDeliveryId = NewType("WebhookDeliveryId", str)
WebhookId = NewType("WebhookId", str)
WorkflowExecutionId = NewType("WorkflowExecutionId", str)
WorkflowId = NewType("WorkflowId", str)

Id = TypeVar("Id", bound=str)

PREFIXES: dict[Callable[[Any], str], str] = {
    AppClientId: "app-client",
    AssetId: "asset",
    AuditEventId: "audit-event",
    CodeId: "one-time-code",
    ConsentId: "consent",
    DataBundleId: "model-data-bundle",
    DatasetId: "dataset",
    DocumentId: "document",
    GrantId: "grant",
    LogId: "log",
    ModelId: "model",
    OrganizationId: "organization",
    PaymentMethodId: "payment-method",
    PredictionId: "prediction",
    ProfileId: "profile",
    SecretId: "secret",
    TrainingId: "model-training",
    TransformationId: "dataset-transformation",
    TransitionExecutionId: "transition-execution",
    TransitionId: "transition",
    UserId: "user",
    WebhookAttemptId: "webhook-attempt",
    WebhookId: "webhook",
    WorkflowExecutionId: "workflow-execution",
    WorkflowId: "workflow",
}
"""The resource's name in ids that Pagemill makes."""


def new_id(id_type: Callable[[str], Id]) -> Id:
    """Return ``las:<resource>:`` and 32 hexadecimal digits."""
    return id_type(f"las:{PREFIXES[id_type]}:{uuid.uuid4().hex}")


def slug_of(identifier: str) -> str:
    """Return the part of an id after its last colon."""
    return identifier.rsplit(":", 1)[-1]
