"""App clients, their credentials and addresses: ``/appClients``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

import asyncpg
from litestar import Controller, delete, get, patch, post
from msgspec import UNSET, Meta, UnsetType, field

from db import app_clients as statements
from pagemill.api.auth.client_credentials import hash_secret, new_client_id, new_client_secret
from pagemill.api.auth.guard import Caller
from pagemill.api.auth.permissions import PermissionSet
from pagemill.api.http.database import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    TEXT_LENGTH,
    Audited,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    change,
    require_members,
)
from pagemill.api.resources.roles import ValidRoleIds, delegated
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import AppClientId, new_id
from pagemill.usage.counting import count, uncount

MOST_URLS = 100

Url: TypeAlias = Annotated[str, Meta(pattern=r"^http://localhost.*|^https://.*", max_length=TEXT_LENGTH)]
Urls: TypeAlias = Annotated[list[Url], Meta(max_length=MOST_URLS)]


class PostAppClient(RequestStruct):
    """Without a secret it is a public client, through which users sign in."""

    name: Text | None = None
    description: Text | None = None
    generate_secret: bool = True
    callback_urls: Urls | UnsetType = UNSET
    logout_urls: Urls | UnsetType = UNSET
    login_urls: Urls | UnsetType = UNSET
    default_login_url: Url | UnsetType = UNSET
    role_ids: ValidRoleIds = field(default_factory=list)


class PatchAppClient(RequestStruct):
    """null clears name and description."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    login_urls: Urls | UnsetType = UNSET
    default_login_url: Url | UnsetType = UNSET
    role_ids: ValidRoleIds | UnsetType = UNSET


class AppClient(Audited, kw_only=True):
    """``client_secret`` is told once, when the app client is made."""

    app_client_id: str
    client_id: str
    client_secret: str | UnsetType = UNSET
    has_secret: bool
    name: str | None
    description: str | None
    callback_urls: list[str] | None
    logout_urls: list[str] | None
    login_urls: list[str] | None
    default_login_url: str | None
    role_ids: list[str]


class AppClients(ResponseStruct):
    app_clients: list[AppClient]
    next_token: str | None


def to_app_client(row: asyncpg.Record, *, secret: str | None = None) -> AppClient:
    configuration = row["configuration"]
    return AppClient(
        app_client_id=row["id"],
        client_id=row["client_id"],
        client_secret=secret or UNSET,
        has_secret=row["has_secret"],
        name=row["name"],
        description=row["description"],
        callback_urls=configuration.get("callbackUrls"),
        logout_urls=configuration.get("logoutUrls"),
        login_urls=configuration.get("loginUrls"),
        default_login_url=configuration.get("defaultLoginUrl"),
        role_ids=row["role_ids"],
        **audit(row),
    )


def app_client_not_found(app_client_id: str) -> NotFound:
    return NotFound(f"App client {app_client_id} not found")


def checked_url(member: str, url: str) -> str:
    """The address as sent. Raises BadRequest for one that only looks like it leads where the pattern says.

    ``http://localhost.example.com`` and ``http://localhost@example.com`` match it too.
    """
    try:
        parts = urlsplit(url)
        plain = parts.port is None or parts.port > 0
    except ValueError:
        plain = False
    if not plain or "\\" in url or not url.isprintable() or " " in url or parts.username is not None:
        raise BadRequest(f"{member}: is not a valid address")
    if not parts.hostname or (parts.scheme == "http" and parts.hostname != "localhost"):
        raise BadRequest(f"{member}: must begin with https:// or be at http://localhost")
    return url


def configuration(data: PostAppClient | PatchAppClient) -> dict[str, Any]:
    """The addresses that were sent, by the members of AppClient. Raises BadRequest."""
    addresses = {"loginUrls": data.login_urls, "defaultLoginUrl": data.default_login_url}
    if isinstance(data, PostAppClient):
        addresses |= {"callbackUrls": data.callback_urls, "logoutUrls": data.logout_urls}
    sent = {member: value for member, value in addresses.items() if value is not UNSET}
    for member, value in sent.items():
        for url in _each(value):
            checked_url(member, url)
    return sent


def _each(value: Any) -> Iterable[str]:
    return value if isinstance(value, list) else [value]


class AppClientController(Controller):
    path = "/appClients"
    tags = ("App clients",)

    @post(status_code=200)
    async def create_app_client(
        self,
        data: PostAppClient,
        caller: Caller,
        permissions: PermissionSet,
        connection: RequestConnection,
    ) -> AppClient:
        addresses = configuration(data)
        secret = new_client_secret() if data.generate_secret else None
        async with connection.transaction():
            role_ids = await delegated(connection, permissions, data.role_ids)
            await count(connection, caller.organization_id, "app-clients")
            row = await statements.INSERT_APP_CLIENT.fetch_one(
                connection,
                caller.organization_id,
                new_id(AppClientId),
                new_client_id(),
                None if secret is None else hash_secret(secret),
                data.name,
                data.description,
                addresses,
                role_ids,
                caller.principal_id,
            )
        assert row is not None
        return to_app_client(row, secret=secret)

    @get()
    async def list_app_clients(
        self, caller: Caller, connection: RequestConnection, page: PageRequest
    ) -> AppClients:
        rows = await statements.LIST_APP_CLIENTS.fetch(
            connection, caller.organization_id, *page.after, page.limit
        )
        shown, token = cut(rows, page)
        return AppClients(app_clients=[to_app_client(row) for row in shown], next_token=token)

    @get("/{app_client_id:str}")
    async def get_app_client(
        self, app_client_id: str, caller: Caller, connection: RequestConnection
    ) -> AppClient:
        row = await statements.GET_APP_CLIENT.fetch_one(connection, caller.organization_id, app_client_id)
        if row is None:
            raise app_client_not_found(app_client_id)
        return to_app_client(row)

    @patch("/{app_client_id:str}")
    async def update_app_client(
        self,
        app_client_id: str,
        data: PatchAppClient,
        caller: Caller,
        permissions: PermissionSet,
        connection: RequestConnection,
    ) -> AppClient:
        require_members(data)
        addresses = configuration(data)
        role_ids = None
        if data.role_ids is not UNSET:
            role_ids = await delegated(connection, permissions, data.role_ids)
        row = await statements.UPDATE_APP_CLIENT.fetch_one(
            connection,
            caller.organization_id,
            app_client_id,
            *change(data.name),
            *change(data.description),
            addresses,
            role_ids,
            caller.principal_id,
        )
        if row is None:
            raise app_client_not_found(app_client_id)
        return to_app_client(row)

    @delete("/{app_client_id:str}", status_code=200)
    async def delete_app_client(
        self, app_client_id: str, caller: Caller, connection: RequestConnection
    ) -> AppClient:
        """Its tokens and credentials end with it. It cannot delete itself."""
        if app_client_id == caller.principal_id:
            raise BadRequest("An app client cannot delete itself")
        async with connection.transaction():
            row = await statements.DELETE_APP_CLIENT.fetch_one(
                connection, caller.organization_id, app_client_id
            )
            if row is None:
                raise app_client_not_found(app_client_id)
            await uncount(connection, caller.organization_id, "app-clients")
        return to_app_client(row)
