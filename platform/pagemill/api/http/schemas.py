"""Base classes of the schemas of requests and responses, and the types of members that many of them have."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Protocol, TypeAlias, TypedDict, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pagemill.errors import BadRequest
from pagemill.ids import ConsentId, DatasetId, DocumentId

TEXT_LENGTH = 4096
METADATA_BYTES = 4096
EMAIL_LENGTH = 254

Text: TypeAlias = Annotated[str, Meta(max_length=TEXT_LENGTH)]
Metadata: TypeAlias = dict[str, Any]
"""Any JSON object of at most 4 kB; ``checked_metadata`` checks its size."""
SentMetadata = TypeVar("SentMetadata", bound=Metadata | UnsetType | None)
RetentionInDays: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]
# Python's $ also matches before a line break at the end.
ValidConsentId: TypeAlias = Annotated[ConsentId, Meta(pattern=r"^las:consent:[a-f0-9]{32}$(?!\n)")]
ValidDocumentId: TypeAlias = Annotated[DocumentId, Meta(pattern=r"^las:document:[a-f0-9]{32}$(?!\n)")]
ValidDatasetId: TypeAlias = Annotated[DatasetId, Meta(pattern=r"^las:dataset:[a-f0-9]{32}$(?!\n)")]
DatasetReference: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^(|las:organization:[a-z0-9\-_]+/)las:dataset:[a-f0-9]{32}$(?!\n)", max_length=512),
]
"""A dataset of one's own, or with its owner a shared one of another organization."""
# The original API's pattern, rewritten to be matched in linear time and without a line break at the end.
Email: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][-+._A-Za-z0-9]*@[-_.A-Za-z0-9]+\.[A-Za-z]{2,}$(?!\n)",
        max_length=EMAIL_LENGTH,
    ),
]


class RequestStruct(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Base of request bodies. Unknown members are refused."""


class ResponseStruct(msgspec.Struct, rename="camel", kw_only=True):
    """Base of response bodies. Members that are UNSET are left out."""


class Audited(ResponseStruct, kw_only=True):
    """Base of resources that show who created and last changed them; ``updated*`` are null until a change."""

    created_time: str | None
    created_by: str | None
    updated_time: str | None
    updated_by: str | None


class AuditedRow(Protocol):
    """A row of a resource that shows who created and last changed it."""

    @property
    def created_time(self) -> datetime.datetime | None:
        """When it was created."""

    @property
    def created_by(self) -> str | None:
        """Id of the principal that created it."""

    @property
    def updated_time(self) -> datetime.datetime | None:
        """When it was last changed."""

    @property
    def updated_by(self) -> str | None:
        """Id of the principal that last changed it."""


class AuditMembers(TypedDict):
    """The members of Audited, as arguments."""

    created_time: str | None
    created_by: str | None
    updated_time: str | None
    updated_by: str | None


def audit(row: AuditedRow) -> AuditMembers:
    """Return the members of Audited from a row."""
    return AuditMembers(
        created_time=timestamp(row.created_time),
        created_by=row.created_by,
        updated_time=timestamp(row.updated_time),
        updated_by=row.updated_by,
    )


def timestamp(time: datetime.datetime | None) -> str | None:
    """Return a time as the API writes it: 2021-08-16T12:53:13.374930+0000."""
    if time is None:
        return None
    if time.tzinfo is not datetime.UTC:
        time = time.astimezone(datetime.UTC)
    return time.isoformat(timespec="microseconds").removesuffix("+00:00") + "+0000"


def require_members(data: msgspec.Struct) -> None:
    """Refuse a PATCH without any member. Raises BadRequest."""
    names = msgspec.structs.fields(data)
    if all(getattr(data, field.name) is UNSET for field in names):
        known = ", ".join(field.encode_name for field in names)
        raise BadRequest(f"at least one member is required: {known}")


def checked_metadata(metadata: SentMetadata) -> SentMetadata:
    """Return the metadata as sent. Raises BadRequest when it is larger than 4 kB."""
    if isinstance(metadata, dict) and len(msgspec.json.encode(metadata)) > METADATA_BYTES:
        raise BadRequest(f"metadata: must not be larger than {METADATA_BYTES} bytes")
    return metadata


def changed_metadata(metadata: Metadata | UnsetType | None) -> Metadata | UnsetType:
    """Return the metadata to store where null means an empty object. Raises BadRequest as above."""
    return {} if metadata is None else checked_metadata(metadata)
