"""REST resource ``/appClients``: app clients, their credentials and URLs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType, field

from db import app_clients as statements
from pagemill.api.auth.guard import Caller
from pagemill.api.http.auditing import RequestAudit
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    TEXT_LENGTH,
    Audited,
    RequestStruct,
    ResponseStruct,
    Text,
    audit,
    require_members,
)
from pagemill.api.resources.roles import ValidRoleIds, require_delegation, roles_to_give
from pagemill.client_credentials import hash_secret, new_client_id, new_client_secret
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import AppClientId, PrincipalId, RoleId, new_id
from pagemill.permissions import PermissionSet
from pagemill.usage.counting import count, uncount

MOST_URLS = 100
OVERLAP_SECONDS = 86400
LONGEST_OVERLAP_SECONDS = 30 * 86400

Url: TypeAlias = Annotated[str, Meta(pattern=r"^http://localhost.*|^https://.*", max_length=TEXT_LENGTH)]
Urls: TypeAlias = Annotated[list[Url], Meta(max_length=MOST_URLS)]
AppClientPath = Annotated[AppClientId, Parameter(description="las:app-client:<slug>")]


class PostAppClient(RequestStruct):
    """A new app client; without a secret it is a public client, through which users sign in."""

    name: Text | None = None
    description: Text | None = None
    generate_secret: bool = True
    callback_urls: Urls | UnsetType = UNSET
    logout_urls: Urls | UnsetType = UNSET
    login_urls: Urls | UnsetType = UNSET
    default_login_url: Url | UnsetType = UNSET
    role_ids: ValidRoleIds = field(default_factory=list)


class PatchAppClient(RequestStruct):
    """Changes of an app client; null clears name and description."""

    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    login_urls: Urls | UnsetType = UNSET
    default_login_url: Url | UnsetType = UNSET
    role_ids: ValidRoleIds | UnsetType = UNSET


class PostAppClientSecret(RequestStruct):
    """Seconds in which the former secret of an app client goes on working."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=LONGEST_OVERLAP_SECONDS)] = OVERLAP_SECONDS


class AppClient(Audited, kw_only=True):
    """An app client; ``client_secret`` is only in the answers to its creation and to its exchange."""

    app_client_id: AppClientId
    client_id: str
    client_secret: str | UnsetType = UNSET
    has_secret: bool
    name: str | None
    description: str | None
    callback_urls: list[str] | None
    logout_urls: list[str] | None
    login_urls: list[str] | None
    default_login_url: str | None
    role_ids: list[RoleId]


class AppClients(ResponseStruct):
    """A page of app clients."""

    app_clients: list[AppClient]
    next_token: str | None


def to_app_client(row: statements.AppClientRow, *, secret: str | None = None) -> AppClient:
    """Return an app client as the API shows it."""
    return AppClient(
        app_client_id=row.id,
        client_id=row.client_id,
        client_secret=secret or UNSET,
        has_secret=row.has_secret,
        name=row.name,
        description=row.description,
        callback_urls=row.configuration.get("callbackUrls"),
        logout_urls=row.configuration.get("logoutUrls"),
        login_urls=row.configuration.get("loginUrls"),
        default_login_url=row.configuration.get("defaultLoginUrl"),
        role_ids=row.role_ids,
        **audit(row),
    )


def app_client_not_found(app_client_id: AppClientId) -> NotFound:
    """Return the error for an app client that the organization does not have."""
    return NotFound(f"App client {app_client_id} not found")


def checked_url(member: str, url: str) -> str:
    """Return the URL as sent. Raises BadRequest, naming the member, for an unsafe or malformed one.

    The pattern of the schema alone also matches ``http://localhost.example.com`` and
    ``http://localhost@example.com``.
    """
    try:
        parts = urlsplit(url)
        plain = parts.port is None or parts.port > 0
    except ValueError:
        plain = False
    if not plain or "\\" in url or not url.isprintable() or " " in url or parts.username is not None:
        raise BadRequest(f"{member}: is not a valid URL")
    if not parts.hostname or (parts.scheme == "http" and parts.hostname != "localhost"):
        raise BadRequest(f"{member}: must begin with https:// or http://localhost")
    return url


def read_configuration(data: PostAppClient | PatchAppClient) -> dict[str, Any]:
    """Return the URLs that were sent, by the API's member names. Raises BadRequest."""
    urls = {"loginUrls": data.login_urls, "defaultLoginUrl": data.default_login_url}
    if isinstance(data, PostAppClient):
        urls |= {"callbackUrls": data.callback_urls, "logoutUrls": data.logout_urls}
    sent = {member: value for member, value in urls.items() if value is not UNSET}
    for member, value in sent.items():
        for url in _each(value):
            checked_url(member, url)
    return sent


def _each(value: Any) -> Iterable[str]:
    return value if isinstance(value, list) else [value]


class AppClientController(Controller):
    """Operations on app clients."""

    path = "/appClients"
    tags = ("App clients",)

    @post(status_code=200, transaction="request")
    async def create_app_client(
        self,
        data: PostAppClient,
        caller: Caller,
        permissions: PermissionSet,
        connection: RequestConnection,
        audited: RequestAudit,
    ) -> AppClient:
        """Create an app client.

        An app client calls the API with the client id and client secret of the answer, which it exchanges
        for an access token at the token endpoint. The secret is shown in this answer only and cannot be read
        again. With `generateSecret` false the app client is public: it has no secret, and users sign in
        through it.

        URLs have to begin with `https://` or `http://localhost`. Without `roleIds` the app client has full
        access to the organization. The caller needs the permission to delegate each role that it gives
        (403), and to delegate every role to give full access. So it does to register `callbackUrls`: users
        of every role sign in to them.

        The number of app clients is limited by the plan (429).
        """
        urls = read_configuration(data)
        secret = new_client_secret() if data.generate_secret else None
        if data.callback_urls:
            require_delegation(permissions, [])
        async with connection.transaction():
            role_ids = await roles_to_give(connection, permissions, data.role_ids, audited)
            await count(connection, caller.organization_id, "app-clients")
            row = await statements.insert_app_client(
                connection,
                organization_id=caller.organization_id,
                app_client_id=new_id(AppClientId),
                client_id=new_client_id(),
                secret_hash=None if secret is None else hash_secret(secret),
                name=data.name,
                description=data.description,
                configuration=urls,
                role_ids=role_ids,
                created_by=caller.principal_id,
            )
        return to_app_client(row, secret=secret)

    @get()
    async def list_app_clients(
        self, caller: Caller, connection: RequestConnection, page: PageRequest
    ) -> AppClients:
        """List the app clients of the organization, oldest first.

        Client secrets are not shown.
        """
        rows = await statements.list_app_clients(
            connection,
            organization_id=caller.organization_id,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page)
        return AppClients(app_clients=[to_app_client(row) for row in shown], next_token=token)

    @get("/{app_client_id:str}")
    async def get_app_client(
        self, app_client_id: AppClientPath, caller: Caller, connection: RequestConnection
    ) -> AppClient:
        """Get an app client.

        `hasSecret` tells whether it has a client secret; the secret itself is not shown.
        """
        row = await statements.get_app_client(
            connection, organization_id=caller.organization_id, app_client_id=app_client_id
        )
        if row is None:
            raise app_client_not_found(app_client_id)
        return to_app_client(row)

    @patch("/{app_client_id:str}")
    async def update_app_client(
        self,
        app_client_id: AppClientPath,
        data: PatchAppClient,
        caller: Caller,
        permissions: PermissionSet,
        connection: RequestConnection,
        audited: RequestAudit,
    ) -> AppClient:
        """Update an app client.

        Members that are not sent keep their value. Lists of URLs and `roleIds` are replaced as a whole. The
        caller needs the permission to delegate each role that it gives (403). Callback and logout URLs
        cannot be changed: create a new app client instead.
        """
        require_members(data)
        urls = read_configuration(data)
        role_ids = None
        if data.role_ids is not UNSET:
            role_ids = await roles_to_give(connection, permissions, data.role_ids, audited)
        row = await statements.update_app_client(
            connection,
            organization_id=caller.organization_id,
            app_client_id=app_client_id,
            name=data.name,
            description=data.description,
            configuration=urls,
            role_ids=role_ids,
            updated_by=caller.principal_id,
        )
        if row is None:
            raise app_client_not_found(app_client_id)
        return to_app_client(row)

    @post("/{app_client_id:str}/secret", status_code=200, transaction="request")
    async def create_app_client_secret(
        self,
        app_client_id: AppClientPath,
        data: PostAppClientSecret,
        caller: Caller,
        permissions: PermissionSet,
        connection: RequestConnection,
    ) -> AppClient:
        """Create a new client secret for an app client.

        The new secret is shown in this answer only. The former one, and the tokens that were issued for it,
        work for `overlapSeconds` more, by default a day: give the new one to all programs until then. With
        0 they stop working at once, as they should when the secret has leaked. There are two secrets at
        most: another exchange ends the one before.

        A public app client has no secret (400). The caller needs the permission to delegate each role of
        the app client (403), unless it is this app client.

        This operation goes beyond the reference API.
        """
        async with connection.transaction():
            row = await statements.get_app_client(
                connection, organization_id=caller.organization_id, app_client_id=app_client_id
            )
            if row is None:
                raise app_client_not_found(app_client_id)
            if PrincipalId(app_client_id) != caller.principal_id:
                # Whoever has the secret may do what the app client may.
                require_delegation(permissions, row.role_ids)
            secret = new_client_secret()
            changed = await statements.exchange_secret(
                connection,
                organization_id=caller.organization_id,
                app_client_id=app_client_id,
                secret_hash=hash_secret(secret),
                overlap_seconds=float(data.overlap_seconds),
                updated_by=caller.principal_id,
            )
        if changed is None:
            raise BadRequest("A public app client has no secret")
        return to_app_client(changed, secret=secret)

    @delete("/{app_client_id:str}", status_code=200)
    async def delete_app_client(
        self, app_client_id: AppClientPath, caller: Caller, connection: RequestConnection
    ) -> AppClient:
        """Delete an app client.

        Its credentials and its access tokens stop working at once. An app client cannot delete itself (400).
        """
        if PrincipalId(app_client_id) == caller.principal_id:
            raise BadRequest("An app client cannot delete itself")
        async with connection.transaction():
            row = await statements.delete_app_client(
                connection, organization_id=caller.organization_id, app_client_id=app_client_id
            )
            if row is None:
                raise app_client_not_found(app_client_id)
            await uncount(connection, caller.organization_id, "app-clients")
        return to_app_client(row)
