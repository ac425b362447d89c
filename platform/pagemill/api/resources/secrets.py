"""Secrets: ``/secrets``. Their data is written, and used by transitions and workflows; it is never shown."""

from __future__ import annotations

from typing import Annotated, Any

import asyncpg
import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, UnsetType

from db import secrets as statements
from pagemill.api.auth.guard import Caller
from pagemill.api.http.database import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    Audited,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    change,
    require_members,
)
from pagemill.api.http.state import AppState
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import SecretId, new_id
from pagemill.secret_box import Sealed
from pagemill.usage.counting import count, uncount

DATA_BYTES = 64 * 1024
"""Secrets become environment variables; the environment of a process has little more room."""

SecretPath = Annotated[str, Parameter(description="las:secret:<32 hexadecimal digits>")]


class PostSecret(RequestStruct):
    data: dict[str, Any]
    name: Text | None = None
    description: Text | None = None


class PatchSecret(RequestStruct):
    """null clears name and description; data is replaced as a whole."""

    data: dict[str, Any] | UnsetType = UNSET
    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET


class Secret(Audited, kw_only=True):
    secret_id: str
    name: str | None
    description: str | None


class Secrets(ResponseStruct):
    secrets: list[Secret]
    next_token: str | None


def to_secret(row: asyncpg.Record) -> Secret:
    return Secret(secret_id=row["id"], name=row["name"], description=row["description"], **audit(row))


def secret_not_found(secret_id: str) -> NotFound:
    return NotFound(f"Secret {secret_id} not found")


class SecretController(Controller):
    path = "/secrets"
    tags = ("Secrets",)

    @post(status_code=200)
    async def create_secret(
        self, data: PostSecret, caller: Caller, connection: RequestConnection, app_state: AppState
    ) -> Secret:
        secret_id = new_id(SecretId)
        sealed = _seal(app_state, caller, secret_id, data.data)
        async with connection.transaction():
            await count(connection, caller.organization_id, "secrets")
            row = await statements.INSERT_SECRET.fetch_one(
                connection,
                caller.organization_id,
                secret_id,
                data.name,
                data.description,
                sealed.key_id,
                sealed.nonce,
                sealed.ciphertext,
                caller.principal_id,
            )
        assert row is not None
        return to_secret(row)

    @get()
    async def list_secrets(self, caller: Caller, connection: RequestConnection, page: PageRequest) -> Secrets:
        rows = await statements.LIST_SECRETS.fetch(
            connection, caller.organization_id, *page.after, page.limit
        )
        shown, token = cut(rows, page)
        return Secrets(secrets=[to_secret(row) for row in shown], next_token=token)

    @patch("/{secret_id:str}")
    async def update_secret(
        self,
        secret_id: SecretPath,
        data: PatchSecret,
        caller: Caller,
        connection: RequestConnection,
        app_state: AppState,
    ) -> Secret:
        require_members(data)
        sealed = None if data.data is UNSET else _seal(app_state, caller, secret_id, data.data)
        row = await statements.UPDATE_SECRET.fetch_one(
            connection,
            caller.organization_id,
            secret_id,
            *change(data.name),
            *change(data.description),
            sealed.key_id if sealed else None,
            sealed.nonce if sealed else None,
            sealed.ciphertext if sealed else None,
            caller.principal_id,
        )
        if row is None:
            raise secret_not_found(secret_id)
        return to_secret(row)

    @delete("/{secret_id:str}", status_code=200)
    async def delete_secret(
        self, secret_id: SecretPath, caller: Caller, connection: RequestConnection
    ) -> Secret:
        """A secret that a transition or workflow names stays."""
        async with connection.transaction():
            row = await statements.LOCK_SECRET.fetch_one(connection, caller.organization_id, secret_id)
            if row is None:
                raise secret_not_found(secret_id)
            user = await statements.SECRET_USER.fetch_value(connection, caller.organization_id, secret_id)
            if user is not None:
                raise BadRequest(f"Secret {secret_id} is used by {user}")
            await statements.DELETE_SECRET.execute(connection, caller.organization_id, secret_id)
            await uncount(connection, caller.organization_id, "secrets")
        return to_secret(row)


def _seal(app_state: AppState, caller: Caller, secret_id: str, data: dict[str, Any]) -> Sealed:
    """Raises BadRequest when the data is too large."""
    if len(msgspec.json.encode(data)) > DATA_BYTES:
        raise BadRequest(f"data: must not be larger than {DATA_BYTES} bytes")
    return app_state.secret_box.seal(caller.organization_id, secret_id, data)
