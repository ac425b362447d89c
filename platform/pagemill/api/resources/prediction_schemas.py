"""Requests and responses of predictions."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from db.keyset import Order
from db.predictions import PredictionRow, PredictionStatus
from pagemill.api.http.schemas import RequestStruct, ResponseStruct, ValidDocumentId, timestamp
from pagemill.api.resources.models import ValidTrainingId
from pagemill.api.resources.page_configs import (
    ImageQuality,
    MaxPages,
    PostprocessConfig,
    PreprocessConfig,
    members,
)
from pagemill.ids import DocumentId, ModelId, OrganizationId, PredictionId, TrainingId
from pagemill.rotation import Rotation

MODEL_REFERENCE = r"^(|las:organization:[a-z0-9\-_]+/)las:model:[a-z0-9\-_]+$(?!\n)"
ModelReference: TypeAlias = Annotated[str, Meta(pattern=MODEL_REFERENCE, max_length=512)]


class PostPrediction(RequestStruct):
    """A new prediction. The members after ``async`` are deprecated: use ``preprocessConfig``."""

    document_id: ValidDocumentId
    model_id: ModelReference
    training_id: ValidTrainingId | UnsetType = UNSET
    preprocess_config: PreprocessConfig | UnsetType = UNSET
    postprocess_config: PostprocessConfig | UnsetType = UNSET
    is_async: bool = msgspec.field(default=False, name="async")
    auto_rotate: bool | UnsetType = UNSET
    image_quality: ImageQuality | UnsetType = UNSET
    max_pages: MaxPages | UnsetType = UNSET
    rotation: Rotation | UnsetType = UNSET

    def deprecated_preprocess_config(self) -> dict[str, object]:
        """Return the deprecated members that were sent, as a preprocessConfig."""
        return members(
            PreprocessConfig(
                auto_rotate=self.auto_rotate,
                image_quality=self.image_quality,
                max_pages=self.max_pages,
                rotation=self.rotation,
            )
        )


class Prediction(ResponseStruct):
    """Fields found in a document.

    ``predictions`` is a list of candidates (output format v1), an object of them by label (v2), or null while
    the prediction is pending.
    """

    prediction_id: PredictionId
    document_id: DocumentId
    model_id: str
    training_id: TrainingId
    status: PredictionStatus
    error: str | None
    predictions: list[dict[str, Any]] | dict[str, Any] | None
    preprocess_config: dict[str, Any]
    postprocess_config: dict[str, Any]
    next_page: int | None
    inference_time: float | None
    created_time: str | None
    created_by: str | None


class Predictions(ResponseStruct):
    """A page of predictions."""

    predictions: list[Prediction]
    next_token: str | None
    model_id: str | UnsetType = UNSET
    sort_by: Literal["createdTime"] | UnsetType = UNSET
    order: Order | UnsetType = UNSET


def to_prediction(row: PredictionRow) -> Prediction:
    """Return a prediction as the API shows it."""
    return Prediction(
        prediction_id=row.id,
        document_id=row.document_id,
        model_id=row.model_reference,
        training_id=row.training_id,
        status=row.status,
        error=row.error,
        predictions=row.predictions,
        preprocess_config=row.preprocess_config,
        postprocess_config=row.postprocess_config,
        next_page=row.next_page,
        inference_time=row.inference_time,
        created_time=timestamp(row.created_time),
        created_by=row.created_by,
    )


def split_reference(reference: str) -> tuple[OrganizationId | None, ModelId]:
    """Return the owner that a ``modelId`` names, if it names one, and the plain id."""
    owner, _, model_id = reference.rpartition("/")
    return (OrganizationId(owner) if owner else None), ModelId(model_id)
