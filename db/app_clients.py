"""App clients, which call the API with credentials of their own or let users sign in."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from msgspec import UnsetType

from db.statements import Connection, NeverNull, Row, columns, crossing, tenant
from pagemill.ids import AppClientId, OrganizationId, PrincipalId, RoleId


class AppClientRow(Row):
    """An app client; ``configuration`` holds its URLs by the names of the API."""

    id: AppClientId
    client_id: str
    has_secret: Annotated[bool, NeverNull("IS NOT NULL")]
    name: str | None
    description: str | None
    configuration: dict[str, Any]
    role_ids: list[RoleId]
    created_time: datetime.datetime
    created_by: PrincipalId | None
    updated_time: datetime.datetime | None
    updated_by: PrincipalId | None


class AppClientCredentialsRow(Row):
    """An app client as the authorization server knows it; ``secret_hash`` is null for a public one.

    ``previous_secret_hash`` is there while the former secret works; its tokens are of the epoch before.
    """

    id: AppClientId
    organization_id: OrganizationId
    client_id: str
    name: str | None
    secret_hash: str | None
    previous_secret_hash: str | None
    token_epoch: int
    configuration: dict[str, Any]


APP_CLIENT = columns(AppClientRow, **{"has_secret": "secret_hash IS NOT NULL"})
CREDENTIALS = columns(
    AppClientCredentialsRow,
    **{
        "previous_secret_hash": "CASE WHEN previous_secret_expires_time > now() THEN previous_secret_hash END"
    },
)


@tenant(f"""
    INSERT INTO app_client (
        organization_id, id, client_id, secret_hash, name, description, configuration, role_ids,
        created_time, created_by
    )
    VALUES (
        :organization_id, :app_client_id, :client_id, :secret_hash, :name, :description, :configuration,
        :role_ids, now(), :created_by
    )
    RETURNING {APP_CLIENT}
""")
async def insert_app_client(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    app_client_id: AppClientId,
    client_id: str,
    secret_hash: str | None,
    name: str | None,
    description: str | None,
    configuration: Mapping[str, Any],
    role_ids: Sequence[RoleId],
    created_by: PrincipalId | None,
) -> AppClientRow:
    """Add an app client."""


@crossing(
    "the organization of a caller is not known before its credentials are checked",
    f"SELECT {CREDENTIALS} FROM app_client WHERE client_id = :client_id",
)
async def find_app_client(connection: Connection, *, client_id: str) -> AppClientCredentialsRow | None:
    """Return the app client with this OAuth client id."""


@tenant("SELECT id FROM app_client WHERE organization_id = :organization_id AND id = :app_client_id")
async def find_app_client_id(
    connection: Connection, *, organization_id: OrganizationId, app_client_id: AppClientId
) -> AppClientId | None:
    """Return the id if the organization has this app client."""


@tenant(
    f"SELECT {APP_CLIENT} FROM app_client WHERE organization_id = :organization_id AND id = :app_client_id"
)
async def get_app_client(
    connection: Connection, *, organization_id: OrganizationId, app_client_id: AppClientId
) -> AppClientRow | None:
    """Return an app client."""


@tenant(f"""
    SELECT {APP_CLIENT} FROM app_client
    WHERE organization_id = :organization_id
        AND (created_time, id) > (
            coalesce(:after_time::timestamptz, '-infinity'), coalesce(:after_id::text, '')
        )
    ORDER BY created_time, id LIMIT :limit
""")
async def list_app_clients(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    after_time: datetime.datetime | None,
    after_id: str | None,
    limit: int,
) -> list[AppClientRow]:
    """Return a page of app clients, oldest first."""


@tenant(f"""
    UPDATE app_client SET
        name = CASE WHEN :name_sent THEN :name ELSE name END,
        description = CASE WHEN :description_sent THEN :description ELSE description END,
        configuration = configuration || :configuration::jsonb,
        role_ids = coalesce(:role_ids::jsonb, role_ids),
        updated_time = now(),
        updated_by = :updated_by
    WHERE organization_id = :organization_id AND id = :app_client_id
    RETURNING {APP_CLIENT}
""")
async def update_app_client(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    app_client_id: AppClientId,
    name: str | UnsetType | None,
    description: str | UnsetType | None,
    configuration: Mapping[str, Any],
    role_ids: Sequence[RoleId] | None,
    updated_by: PrincipalId,
) -> AppClientRow | None:
    """Change what is sent of an app client; ``configuration`` replaces the URLs that it names."""


@tenant(f"""
    DELETE FROM app_client WHERE organization_id = :organization_id AND id = :app_client_id
    RETURNING {APP_CLIENT}
""")
async def delete_app_client(
    connection: Connection, *, organization_id: OrganizationId, app_client_id: AppClientId
) -> AppClientRow | None:
    """Delete an app client and return what it was."""


@tenant(f"""
    UPDATE app_client SET
        secret_hash = :secret_hash,
        previous_secret_hash = secret_hash,
        previous_secret_expires_time = now() + make_interval(secs => :overlap_seconds),
        token_epoch = token_epoch + 1,
        updated_time = now(),
        updated_by = :updated_by
    WHERE organization_id = :organization_id AND id = :app_client_id AND secret_hash IS NOT NULL
    RETURNING {APP_CLIENT}
""")
async def exchange_secret(
    connection: Connection,
    *,
    organization_id: OrganizationId,
    app_client_id: AppClientId,
    secret_hash: str,
    overlap_seconds: float,
    updated_by: PrincipalId,
) -> AppClientRow | None:
    """Give an app client another secret; the former one and its tokens work for some time more.

    A public app client has none to exchange: None is returned for it.
    """
