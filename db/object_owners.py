"""Owners of stored objects: documents, assets, data bundles and trainings, in the order of their keys.

Object storage lists keys by their bytes, hence the collation "C".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from db.statements import Connection, NeverNull, Row, crossing, tenant
from pagemill.ids import DocumentId, OrganizationId


class ObjectOwnerRow(Row):
    """A resource that owns objects.

    ``object_key`` is the object that the row names, or the prefix of its objects if it ends in a slash.
    ``discarded`` says that nothing of the resource is kept.
    """

    id: str
    object_key: str | None
    discarded: Annotated[bool, NeverNull("of a column that is not null, or a constant")]


_DOCUMENT = "id, content_key AS object_key, false AS discarded"
_ASSET = "id, content_key AS object_key, false AS discarded"
# While a data bundle is being made, also again, everything that it has is needed.
_DATA_BUNDLE = """
    id, CASE WHEN status <> 'running' THEN object_key END AS object_key,
    (status <> 'running' AND object_key IS NULL) AS discarded
"""
_TRAINING = "id, artefact_key AS object_key, status IN ('failed', 'cancelled') AS discarded"


@tenant(f"""
    SELECT {_DOCUMENT} FROM document
    WHERE organization_id = :organization_id AND id COLLATE "C" > :after_id
    ORDER BY id COLLATE "C" LIMIT :limit
""")
async def list_documents(
    connection: Connection, *, organization_id: OrganizationId, after_id: str, limit: int
) -> list[ObjectOwnerRow]:
    """Return the documents after an id."""


@tenant(f"""
    SELECT {_ASSET} FROM asset
    WHERE organization_id = :organization_id AND id COLLATE "C" > :after_id
    ORDER BY id COLLATE "C" LIMIT :limit
""")
async def list_assets(
    connection: Connection, *, organization_id: OrganizationId, after_id: str, limit: int
) -> list[ObjectOwnerRow]:
    """Return the assets after an id."""


@tenant(f"""
    SELECT {_DATA_BUNDLE} FROM data_bundle
    WHERE organization_id = :organization_id AND id COLLATE "C" > :after_id
    ORDER BY id COLLATE "C" LIMIT :limit
""")
async def list_data_bundles(
    connection: Connection, *, organization_id: OrganizationId, after_id: str, limit: int
) -> list[ObjectOwnerRow]:
    """Return the data bundles after an id."""


# Ids of trainings have any length: with the slash that follows them in the key, a-b sorts before a.
@tenant(f"""
    SELECT {_TRAINING} FROM training
    WHERE organization_id = :organization_id AND (id || '/') COLLATE "C" > (:after_id || '/')
    ORDER BY (id || '/') COLLATE "C" LIMIT :limit
""")
async def list_trainings(
    connection: Connection, *, organization_id: OrganizationId, after_id: str, limit: int
) -> list[ObjectOwnerRow]:
    """Return the trainings after an id."""


@tenant(f"""
    SELECT {_DOCUMENT} FROM document
    WHERE organization_id = :organization_id AND id = ANY(:owner_ids::text[])
""")
async def find_documents(
    connection: Connection, *, organization_id: OrganizationId, owner_ids: Sequence[str]
) -> list[ObjectOwnerRow]:
    """Return those of the documents that exist."""


@crossing(
    "data bundles have documents of shared datasets of other organizations",
    "SELECT id FROM document WHERE id = ANY(:document_ids::text[])",
)
async def find_bundled_documents(connection: Connection, *, document_ids: Sequence[str]) -> list[DocumentId]:
    """Return those of the documents that exist, whosever they are."""


class BundleOwnerRow(Row):
    """A data bundle of another organization."""

    organization_id: OrganizationId
    id: str
    object_key: str | None


@crossing(
    "documents of a shared dataset are in data bundles of other organizations",
    """
    SELECT organization_id, id, object_key FROM data_bundle
    WHERE owner_ids <> '[]' AND owner_ids @> jsonb_build_array(:owner_id::text) AND status <> 'running'
        AND id COLLATE "C" > :after_id
    ORDER BY id COLLATE "C" LIMIT :limit
    """,
)
async def list_data_bundles_of_others(
    connection: Connection, *, owner_id: OrganizationId, after_id: str, limit: int
) -> list[BundleOwnerRow]:
    """Return the data bundles after an id in which an owner's shared datasets are."""


@tenant(f"""
    SELECT {_ASSET} FROM asset WHERE organization_id = :organization_id AND id = ANY(:owner_ids::text[])
""")
async def find_assets(
    connection: Connection, *, organization_id: OrganizationId, owner_ids: Sequence[str]
) -> list[ObjectOwnerRow]:
    """Return those of the assets that exist."""


@tenant(f"""
    SELECT {_DATA_BUNDLE} FROM data_bundle
    WHERE organization_id = :organization_id AND id = ANY(:owner_ids::text[])
""")
async def find_data_bundles(
    connection: Connection, *, organization_id: OrganizationId, owner_ids: Sequence[str]
) -> list[ObjectOwnerRow]:
    """Return those of the data bundles that exist."""


@tenant(f"""
    SELECT {_TRAINING} FROM training
    WHERE organization_id = :organization_id AND id = ANY(:owner_ids::text[])
""")
async def find_trainings(
    connection: Connection, *, organization_id: OrganizationId, owner_ids: Sequence[str]
) -> list[ObjectOwnerRow]:
    """Return those of the trainings that exist."""
