"""Events that webhooks and mail tell of, queued in the transaction that writes the outcome.

A webhook gets ids and a status, never the content of documents. A row that is None has not changed, and no
event is queued.
"""

from __future__ import annotations

import datetime

import msgspec

from db.data_bundles import DataBundleStatusRow
from db.mail import mail_training
from db.prediction_jobs import EndedPredictionRow
from db.statements import Connection
from db.trainings import TrainingStatusRow
from db.webhook_deliveries import queue_deliveries
from db.webhooks import EVENT_TYPES
from pagemill.ids import OrganizationId
from pagemill.tracing.spans import context_to_send


async def tell(
    connection: Connection, organization_id: OrganizationId, resource: str, status: str, **ids: str | None
) -> None:
    """Queue a delivery of the resource's new status for each webhook that wants the event."""
    event_type = f"{resource}.{status}"
    assert event_type in EVENT_TYPES
    body = body_of(event_type, status=status, **ids)
    await queue_deliveries(
        connection,
        organization_id=organization_id,
        event_type=event_type,
        body=body,
        trace_context=context_to_send(),
    )


def body_of(event_type: str, **data: str | None) -> str:
    """Return the body that is signed and sent, the same in every attempt."""
    now = datetime.datetime.now(datetime.UTC).isoformat()
    return msgspec.json.encode({"type": event_type, "timestamp": now, "data": data}).decode()


async def tell_of_prediction(connection: Connection, row: EndedPredictionRow | None) -> None:
    """Queue the event of a prediction whose row says that a webhook wants it."""
    if row is not None and row.wanted:
        await tell(
            connection,
            row.organization_id,
            "prediction",
            row.status,
            predictionId=row.id,
            documentId=row.document_id,
            modelId=row.model_reference,
            trainingId=row.training_id,
        )


async def tell_of_data_bundle(
    connection: Connection, organization_id: OrganizationId, row: DataBundleStatusRow | None
) -> None:
    """Queue the event of a data bundle."""
    if row is not None:
        ids = {"dataBundleId": row.id, "modelId": row.model_id}
        await tell(connection, organization_id, "dataBundle", row.status, **ids)


async def tell_of_training(
    connection: Connection, organization_id: OrganizationId, row: TrainingStatusRow | None
) -> None:
    """Queue a training's event, and mail to the organization's owners and the user who started it."""
    if row is not None:
        ids = {"trainingId": row.id, "modelId": row.model_id}
        await tell(connection, organization_id, "training", row.status, **ids)
        await mail_training(
            connection, organization_id=organization_id, training_id=row.id, status=row.status
        )
