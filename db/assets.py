"""Assets: files of any kind that transitions use."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from msgspec import UnsetType

from db.statements import Connection, Row, RowCount, columns, tenant
from pagemill.ids import AssetId, OrganizationId, PrincipalId, TransitionId


class AssetRow(Row):
    """An asset; its content is the object ``content_key``."""

    id: AssetId
    name: str | None
    description: str | None
    content_key: str
    content_md5: str
    created_time: datetime.datetime
    created_by: PrincipalId | None
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None


@tenant(f"""
    INSERT INTO asset (
        organization_id, id, name, description, content_key, content_md5, created_by, created_time
    )
    VALUES (
        :organization_id, :asset_id, :name, :description, :content_key, :content_md5, :created_by, now()
    )
    RETURNING {columns(AssetRow)}
""")
async def insert_asset(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    asset_id: AssetId,
    name: str | None,
    description: str | None,
    content_key: str,
    content_md5: str,
    created_by: PrincipalId,
) -> AssetRow:
    """Add an asset whose content is complete."""


@tenant(f"""
    SELECT {columns(AssetRow)} FROM asset WHERE organization_id = :organization_id AND id = :asset_id
""")
async def get_asset(
    connection: Connection, *, organization_id: OrganizationId, asset_id: AssetId
) -> AssetRow | None:
    """Return an asset."""


@tenant(f"""
    SELECT {columns(AssetRow)} FROM asset
    WHERE organization_id = :organization_id
        AND (created_time, id) > (
            coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
        )
    ORDER BY created_time, id LIMIT :limit
""")
async def list_assets(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[AssetRow]:
    """Return a page of assets, oldest first."""


@tenant(f"""
    SELECT {columns(AssetRow)} FROM asset
    WHERE organization_id = :organization_id AND id = :asset_id FOR UPDATE
""")
async def lock_asset(
    connection: Connection, *, organization_id: OrganizationId, asset_id: AssetId
) -> AssetRow | None:
    """Return an asset and lock it until the transaction ends."""


@tenant(f"""
    UPDATE asset SET
        name = CASE WHEN :name_sent THEN :name ELSE name END,
        description = CASE WHEN :description_sent THEN :description ELSE description END,
        content_key = coalesce(:content_key, content_key),
        content_md5 = coalesce(:content_md5, content_md5),
        updated_time = now(), updated_by = :updated_by
    WHERE organization_id = :organization_id AND id = :asset_id
    RETURNING {columns(AssetRow)}
""")
async def update_asset(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    asset_id: AssetId,
    name: str | UnsetType | None,
    description: str | UnsetType | None,
    content_key: str | None,
    content_md5: str | None,
    updated_by: PrincipalId,
) -> AssetRow:
    """Change what is sent of an asset whose row is locked; without a new content the old one stays."""


@tenant("DELETE FROM asset WHERE organization_id = :organization_id AND id = :asset_id")
async def delete_asset(
    connection: Connection, *, organization_id: OrganizationId, asset_id: AssetId
) -> RowCount:
    """Delete an asset."""


@tenant("""
    SELECT id FROM asset
    WHERE organization_id = :organization_id AND id = ANY(:asset_ids::text[])
    ORDER BY id FOR KEY SHARE
""")
async def keep_assets(
    connection: Connection, *, organization_id: OrganizationId, asset_ids: Sequence[AssetId]
) -> list[AssetId]:
    """Return which of the assets exist, and keep them from being deleted until the transaction ends."""


@tenant("""
    SELECT id FROM transition
    WHERE organization_id = :organization_id
        AND jsonb_path_exists(
            parameters, '$.assets.* ? (@ == $asset)', jsonb_build_object('asset', :asset_id::text)
        )
    ORDER BY created_time, id LIMIT 1
""")
async def find_transition_with_asset(
    connection: Connection, *, organization_id: OrganizationId, asset_id: AssetId
) -> TransitionId | None:
    """Return the oldest transition that names the asset."""
