"""Rows that allow predictions of a document, for applications that do nothing."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from pagemill.ids import DocumentId, ModelId, TrainingId, new_id


@dataclass(frozen=True, slots=True)
class Predictable:
    """Ids that a request names."""

    document_id: str
    model_id: str

    def body(self, *, asynchronous: bool) -> dict[str, object]:
        """Return the body of POST /predictions."""
        return {"documentId": self.document_id, "modelId": self.model_id, "async": asynchronous}


async def store_predictable(connection: asyncpg.Connection, organization_id: str) -> Predictable:
    """Store a document with a content, and a model with a training, as if their objects existed."""
    document_id, model_id = new_id(DocumentId), new_id(ModelId)
    training_id = new_id(TrainingId)
    await connection.execute(
        "INSERT INTO document (organization_id, id, content_key) VALUES ($1, $2, 'none')",
        organization_id,
        document_id,
    )
    await connection.execute(
        "INSERT INTO model (organization_id, id, training_id, preprocess_config, postprocess_config)"
        " VALUES ($1, $2, $3, $4, $5)",
        organization_id,
        model_id,
        training_id,
        {"maxPages": 1},
        {"strategy": "BEST_FIRST"},
    )
    await connection.execute(
        "INSERT INTO training (organization_id, id, model_id, status, artefact_key)"
        " VALUES ($1, $2, $3, 'succeeded', 'none')",
        organization_id,
        training_id,
        model_id,
    )
    return Predictable(document_id, model_id)
