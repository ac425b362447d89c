"""REST resource ``/assets``: files of any kind that fit into a request."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType, field

from db import assets as statements
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.auditing import RequestAudit
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.request_bodies import CONTENT_BODY_BYTES
from pagemill.api.http.schemas import (
    Audited,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    require_members,
)
from pagemill.documents.content import (
    MAXIMUM_INLINE_CHARACTERS,
    READ_ATTEMPTS,
    decode_inline,
    delete_on_failure,
)
from pagemill.errors import BadRequest, NotFound, PagemillError, Unavailable
from pagemill.ids import AssetId, new_id
from pagemill.objects import ObjectMissing, ObjectStore
from pagemill.objects.discarding import discard
from pagemill.objects.keys import asset_prefix, new_asset_key
from pagemill.usage.counting import count, uncount

InlineContent: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAXIMUM_INLINE_CHARACTERS)]
AssetPath = Annotated[AssetId, Parameter(description="las:asset:<32 hexadecimal digits>")]


class PostAsset(RequestStruct):
    """A new asset; ``content`` is base64."""

    content: InlineContent
    name: Text | None = None
    description: Text | None = None


class PatchAsset(RequestStruct):
    """Changes of an asset; null clears name and description."""

    content: InlineContent | UnsetType = UNSET
    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET


class Asset(Audited, kw_only=True):
    """An asset; ``content`` (base64) is shown of a single asset only."""

    asset_id: AssetId
    name: str | None
    description: str | None
    content: str | UnsetType = UNSET
    content_md5: str | None = field(name="contentMD5")


class Assets(ResponseStruct):
    """A page of assets."""

    assets: list[Asset]
    next_token: str | None


def to_asset(row: statements.AssetRow, content: bytes | None = None) -> Asset:
    """Return an asset as the API shows it, with its content if given."""
    return Asset(
        asset_id=row.id,
        name=row.name,
        description=row.description,
        content=UNSET if content is None else base64.b64encode(content).decode(),
        content_md5=row.content_md5,
        **audit(row),
    )


def asset_not_found(asset_id: AssetId) -> NotFound:
    """Return the error for an asset that the organization does not have."""
    return NotFound(f"Asset {asset_id} not found")


class AssetController(Controller):
    """Operations on assets."""

    path = "/assets"
    tags = ("Assets",)

    @post(status_code=200, transaction="own", request_max_body_size=CONTENT_BODY_BYTES)
    async def create_asset(
        self, data: PostAsset, caller: Caller, app_state: AppState, audited: RequestAudit
    ) -> Asset:
        """Create an asset, a file that transitions use.

        `content` is the file in base64, at most 6,250,000 characters (about 4.7 MB). `contentMD5` of the
        answer is the MD5 of the decoded bytes in hexadecimal digits. The content itself is not in the
        answer. The number of assets is limited by the plan (429).
        """
        asset_id = new_id(AssetId)
        stored = await _store(app_state.objects, caller, asset_id, decode_inline(data.content))
        async with (
            delete_on_failure(app_state.objects, stored.key),
            app_state.connection() as connection,
            connection.transaction(),
        ):
            await count(connection, caller.organization_id, "assets")
            row = await statements.insert_asset(
                connection,
                organization_id=caller.organization_id,
                asset_id=asset_id,
                name=data.name,
                description=data.description,
                content_key=stored.key,
                content_md5=stored.md5,
                created_by=caller.principal_id,
            )
            await audited.record(connection, asset_id)
        return to_asset(row)

    @get()
    async def list_assets(self, caller: Caller, connection: RequestConnection, page: PageRequest) -> Assets:
        """List the assets of the organization, oldest first.

        Their content is left out: read one asset to get it.
        """
        rows = await statements.list_assets(
            connection,
            organization_id=caller.organization_id,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page)
        return Assets(assets=[to_asset(row) for row in shown], next_token=token)

    @get("/{asset_id:str}", own_connection=True)
    async def get_asset(self, asset_id: AssetPath, caller: Caller, app_state: AppState) -> Asset:
        """Get an asset with its content.

        ``content`` is the file in base64, ``contentMD5`` the MD5 checksum of its bytes in hexadecimal digits.
        """
        for _ in range(READ_ATTEMPTS):
            row = await _find(app_state, caller, asset_id)
            try:
                return to_asset(row, await app_state.objects.get(row.content_key))
            except ObjectMissing:
                # A change has replaced the content since the row was read.
                continue
        raise PagemillError(f"the content of {asset_id} is missing")

    @patch("/{asset_id:str}", request_max_body_size=CONTENT_BODY_BYTES)
    async def update_asset(
        self,
        asset_id: AssetPath,
        data: PatchAsset,
        caller: Caller,
        app_state: AppState,
        audited: RequestAudit,
    ) -> Asset:
        """Update an asset.

        Members that are not sent keep their value; null clears name and description. New content replaces
        the old at once. The content is not in the answer.
        """
        require_members(data)
        stored = None
        if data.content is not UNSET:
            content = decode_inline(data.content)
            await _find(app_state, caller, asset_id)
            stored = await _store(app_state.objects, caller, asset_id, content)
        async with (
            delete_on_failure(app_state.objects, stored.key if stored else None),
            app_state.connection() as connection,
            connection.transaction(),
        ):
            before = await statements.lock_asset(
                connection, organization_id=caller.organization_id, asset_id=asset_id
            )
            if before is None:
                raise asset_not_found(asset_id)
            row = await statements.update_asset(
                connection,
                organization_id=caller.organization_id,
                asset_id=asset_id,
                name=data.name,
                description=data.description,
                content_key=stored.key if stored else None,
                content_md5=stored.md5 if stored else None,
                updated_by=caller.principal_id,
            )
            await audited.record(connection)
        if stored is not None:
            await discard(app_state.objects, keys=[before.content_key])
        return to_asset(row)

    @delete("/{asset_id:str}", status_code=200)
    async def delete_asset(
        self, asset_id: AssetPath, caller: Caller, app_state: AppState, audited: RequestAudit
    ) -> Asset:
        """Delete an asset and return it with its content.

        An asset that a transition names cannot be deleted (400). `content` is missing only when the object
        storage does not have it, or is not available.
        """
        async with app_state.connection() as connection, connection.transaction():
            row = await statements.lock_asset(
                connection, organization_id=caller.organization_id, asset_id=asset_id
            )
            if row is None:
                raise asset_not_found(asset_id)
            user = await statements.find_transition_with_asset(
                connection, organization_id=caller.organization_id, asset_id=asset_id
            )
            if user is not None:
                raise BadRequest(f"Asset {asset_id} is used by {user}")
            await statements.delete_asset(
                connection, organization_id=caller.organization_id, asset_id=asset_id
            )
            await uncount(connection, caller.organization_id, "assets")
            await audited.record(connection)
        content = await _read_if_stored(app_state.objects, row.content_key)
        await discard(app_state.objects, prefixes=[asset_prefix(caller.organization_id, asset_id)])
        return to_asset(row, content)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A complete object that no asset refers to yet."""

    key: str
    md5: str


async def _store(objects: ObjectStore, caller: Caller, asset_id: AssetId, content: bytes) -> _Stored:
    key = new_asset_key(caller.organization_id, asset_id)
    await objects.put(key, content)
    # The API's contentMD5 tells copies apart; nothing is secured by it.
    return _Stored(key, hashlib.md5(content, usedforsecurity=False).hexdigest())


async def _read_if_stored(objects: ObjectStore, key: str) -> bytes | None:
    """Return the content; None when it is lost or cannot be read now: the asset is deleted all the same."""
    try:
        return await objects.get(key)
    except (ObjectMissing, Unavailable):
        return None


async def _find(app_state: AppState, caller: Caller, asset_id: AssetId) -> statements.AssetRow:
    """Return an asset, on a connection that is released at once. Raises NotFound."""
    async with app_state.connection() as connection:
        row = await statements.get_asset(
            connection, organization_id=caller.organization_id, asset_id=asset_id
        )
    if row is None:
        raise asset_not_found(asset_id)
    return row
