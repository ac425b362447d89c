"""REST resource ``/secrets``: sealed data that transitions and workflows use and that is never shown."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, UnsetType

from db import secrets as statements
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    Audited,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    require_members,
)
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import SecretId, new_id
from pagemill.secret_box import Sealed
from pagemill.usage.counting import count, uncount

DATA_BYTES = 64 * 1024
"""Secrets become environment variables; the environment of a process has little more room."""

SecretPath = Annotated[SecretId, Parameter(description="las:secret:<32 hexadecimal digits>")]


class PostSecret(RequestStruct):
    """A new secret."""

    data: dict[str, Any]
    name: Text | None = None
    description: Text | None = None


class PatchSecret(RequestStruct):
    """Changes of a secret; null clears name and description, ``data`` is replaced as a whole."""

    data: dict[str, Any] | UnsetType = UNSET
    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET


class Secret(Audited, kw_only=True):
    """A secret without its data."""

    secret_id: SecretId
    name: str | None
    description: str | None


class Secrets(ResponseStruct):
    """A page of secrets."""

    secrets: list[Secret]
    next_token: str | None


def to_secret(row: statements.SecretRow) -> Secret:
    """Return a secret as the API shows it."""
    return Secret(secret_id=row.id, name=row.name, description=row.description, **audit(row))


def secret_not_found(secret_id: SecretId) -> NotFound:
    """Return the error for a secret that the organization does not have."""
    return NotFound(f"Secret {secret_id} not found")


class SecretController(Controller):
    """Operations on secrets."""

    path = "/secrets"
    tags = ("Secrets",)

    @post(status_code=200, transaction="request")
    async def create_secret(
        self, data: PostSecret, caller: Caller, connection: RequestConnection, app_state: AppState
    ) -> Secret:
        """Create a secret.

        `data` is any JSON object of at most 64 KiB, for instance credentials as names and values. It is
        stored encrypted and never shown again; transitions and workflows use it by the secret's id. The
        number of secrets is limited by the plan (429).
        """
        secret_id = new_id(SecretId)
        sealed = _seal(app_state, caller, secret_id, data.data)
        async with connection.transaction():
            await count(connection, caller.organization_id, "secrets")
            row = await statements.insert_secret(
                connection,
                organization_id=caller.organization_id,
                secret_id=secret_id,
                name=data.name,
                description=data.description,
                key_id=sealed.key_id,
                nonce=sealed.nonce,
                ciphertext=sealed.ciphertext,
                created_by=caller.principal_id,
            )
        return to_secret(row)

    @get()
    async def list_secrets(self, caller: Caller, connection: RequestConnection, page: PageRequest) -> Secrets:
        """List the secrets of the organization, oldest first.

        The data of secrets is never shown.
        """
        rows = await statements.list_secrets(
            connection,
            organization_id=caller.organization_id,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
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
        """Update a secret.

        Members that are not sent keep their value; `data` is replaced as a whole.
        """
        require_members(data)
        sealed = None if data.data is UNSET else _seal(app_state, caller, secret_id, data.data)
        row = await statements.update_secret(
            connection,
            organization_id=caller.organization_id,
            secret_id=secret_id,
            name=data.name,
            description=data.description,
            key_id=sealed.key_id if sealed else None,
            nonce=sealed.nonce if sealed else None,
            ciphertext=sealed.ciphertext if sealed else None,
            updated_by=caller.principal_id,
        )
        if row is None:
            raise secret_not_found(secret_id)
        return to_secret(row)

    @delete("/{secret_id:str}", status_code=200)
    async def delete_secret(
        self, secret_id: SecretPath, caller: Caller, connection: RequestConnection
    ) -> Secret:
        """Delete a secret.

        A secret that a transition or workflow names cannot be deleted (400).
        """
        async with connection.transaction():
            row = await statements.lock_secret(
                connection, organization_id=caller.organization_id, secret_id=secret_id
            )
            if row is None:
                raise secret_not_found(secret_id)
            user = await statements.find_user_of_secret(
                connection, organization_id=caller.organization_id, secret_id=secret_id
            )
            if user is not None:
                raise BadRequest(f"Secret {secret_id} is used by {user}")
            await statements.delete_secret(
                connection, organization_id=caller.organization_id, secret_id=secret_id
            )
            await uncount(connection, caller.organization_id, "secrets")
        return to_secret(row)


def _seal(app_state: AppState, caller: Caller, secret_id: SecretId, data: dict[str, Any]) -> Sealed:
    """Seal the data of a secret. Raises BadRequest when it is too large."""
    if len(msgspec.json.encode(data)) > DATA_BYTES:
        raise BadRequest(f"data: must not be larger than {DATA_BYTES} bytes")
    return app_state.secret_box.seal(caller.organization_id, secret_id, data)
