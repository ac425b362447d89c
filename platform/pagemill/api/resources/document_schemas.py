"""What is said of documents in requests and responses."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import asyncpg
from msgspec import UNSET, Meta, UnsetType, field

from pagemill.api.http.app_state import AppState
from pagemill.api.http.schemas import (
    Audited,
    Metadata,
    RequestStruct,
    ResponseStruct,
    RetentionInDays,
    Text,
    ValidConsentId,
    ValidDatasetId,
    audit,
)
from pagemill.api.resources.ground_truth import GroundTruthItem
from pagemill.documents.content import MAXIMUM_INLINE_CHARACTERS
from pagemill.ids import DatasetId

ContentType = Literal["application/pdf", "image/jpeg", "image/png", "image/tiff", "image/webp"]


class PostDocument(RequestStruct):
    """Without ``content`` the document is created empty; its bytes are then PUT to ``fileUrl``."""

    content: Annotated[str, Meta(min_length=1, max_length=MAXIMUM_INLINE_CHARACTERS)] | UnsetType = UNSET
    content_type: ContentType | None = None
    consent_id: ValidConsentId | UnsetType = UNSET
    dataset_id: ValidDatasetId | UnsetType = UNSET
    name: Text | None = None
    description: Text | None = None
    metadata: Metadata | None = None
    ground_truth: list[GroundTruthItem] | None = None
    retention_in_days: RetentionInDays | UnsetType = UNSET


class PatchDocument(RequestStruct):
    """null clears name, description and groundTruth; groundTruth is replaced as a whole."""

    dataset_id: ValidDatasetId | UnsetType = UNSET
    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    ground_truth: list[GroundTruthItem] | UnsetType | None = UNSET
    retention_in_days: RetentionInDays | UnsetType = UNSET


class Document(Audited, kw_only=True):
    """``content`` (base64) is there when one document is asked for, if it is uploaded and not too large."""

    document_id: str
    dataset_id: str | UnsetType = UNSET
    consent_id: str | UnsetType = UNSET
    content: str | UnsetType = UNSET
    content_type: str | None
    content_md5: str | None = field(name="contentMD5")
    file_url: str
    name: str | None
    description: str | None
    metadata: dict[str, Any] | None
    ground_truth: list[dict[str, Any]]
    retention_in_days: int


class Documents(ResponseStruct):
    documents: list[Document]
    next_token: str | None
    dataset_id: list[DatasetId] | UnsetType = UNSET
    consent_id: list[str] | UnsetType = UNSET
    sort_by: str | UnsetType = UNSET
    order: str | UnsetType = UNSET


def to_document(row: asyncpg.Record, state: AppState, content: str | UnsetType = UNSET) -> Document:
    return Document(
        document_id=row["id"],
        dataset_id=row["dataset_id"] or UNSET,
        consent_id=row["consent_id"] or UNSET,
        content=content,
        content_type=row["content_type"],
        content_md5=row["content_md5"],
        file_url=f"{state.settings.public_url}/v1/files/{row['id']}",
        name=row["name"],
        description=row["description"],
        metadata=row["metadata"],
        ground_truth=row["ground_truth"],
        retention_in_days=row["retention_in_days"],
        **audit(row),
    )
