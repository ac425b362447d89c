"""Users and their invitations: ``/users``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import asyncpg
from litestar import Controller, delete, get, patch, post
from msgspec import UNSET, Meta, UnsetType, field

from db import users as statements
from db.app_clients import APP_CLIENT_EXISTS
from db.mail import MAIL_INVITATION
from pagemill.api.auth.guard import Caller
from pagemill.api.auth.permissions import PermissionSet
from pagemill.api.http.database import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    Audited,
    Email,
    Metadata,
    RequestStruct,
    ResponseStruct,
    audit,
    change,
    checked_metadata,
    require_members,
)
from pagemill.api.resources.roles import ValidRoleIds, delegated
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import UserId, new_id
from pagemill.usage.counting import count, uncount

INVITATION_DAYS = 90

ValidAppClientId: TypeAlias = Annotated[str, Meta(pattern=r"^las:app-client:[a-z0-9-_]+$")]


class PostUser(RequestStruct):
    """``app_client_id`` is the app client whose login page the invitation leads to."""

    email: Email
    app_client_id: ValidAppClientId | UnsetType = UNSET
    metadata: Metadata | None = None
    role_ids: ValidRoleIds = field(default_factory=list)


class PatchUser(RequestStruct):
    metadata: Metadata | UnsetType | None = UNSET
    role_ids: ValidRoleIds | UnsetType = UNSET


class User(Audited, kw_only=True):
    """Who this is says the profile, which there is from the first sign-in on."""

    user_id: str
    profile_id: str | None
    status: Literal["inactive", "active", "invite_pending"]
    metadata: dict[str, Any] | None
    role_ids: list[str]


class Users(ResponseStruct):
    users: list[User]
    next_token: str | None


def to_user(row: asyncpg.Record) -> User:
    return User(
        user_id=row["id"],
        profile_id=row["profile_id"],
        status=row["status"],
        metadata=row["metadata"],
        role_ids=row["role_ids"],
        **audit(row),
    )


def user_not_found(user_id: str) -> NotFound:
    return NotFound(f"User {user_id} not found")


class UserController(Controller):
    path = "/users"
    tags = ("Users",)

    @post(status_code=200)
    async def create_user(
        self, data: PostUser, caller: Caller, permissions: PermissionSet, connection: RequestConnection
    ) -> User:
        """Invites an address by mail; again, when the invitation has run out, which keeps the user's id."""
        organization_id = caller.organization_id
        app_client_id = None if data.app_client_id is UNSET else data.app_client_id
        metadata = checked_metadata(data.metadata)
        async with connection.transaction():
            role_ids = await delegated(connection, permissions, data.role_ids)
            if app_client_id is not None and not await APP_CLIENT_EXISTS.fetch_value(
                connection, organization_id, app_client_id
            ):
                raise BadRequest(f"appClientId: app client {app_client_id} does not exist")
            user_id = new_id(UserId)
            row = await statements.INVITE_USER.fetch_one(
                connection,
                organization_id,
                user_id,
                data.email.lower(),
                app_client_id,
                metadata,
                role_ids,
                INVITATION_DAYS,
                caller.principal_id,
            )
            if row is None:
                raise BadRequest("email: is a user already, or has an invitation that has not run out")
            if row["id"] == user_id:
                await count(connection, organization_id, "users")
            await MAIL_INVITATION.fetch_value(
                connection, organization_id, data.email, app_client_id, INVITATION_DAYS
            )
        return to_user(row)

    @get()
    async def list_users(self, caller: Caller, connection: RequestConnection, page: PageRequest) -> Users:
        rows = await statements.LIST_USERS.fetch(connection, caller.organization_id, *page.after, page.limit)
        shown, token = cut(rows, page)
        return Users(users=[to_user(row) for row in shown], next_token=token)

    @get("/{user_id:str}")
    async def get_user(self, user_id: str, caller: Caller, connection: RequestConnection) -> User:
        row = await statements.GET_USER.fetch_one(connection, caller.organization_id, user_id)
        if row is None:
            raise user_not_found(user_id)
        return to_user(row)

    @patch("/{user_id:str}")
    async def update_user(
        self,
        user_id: str,
        data: PatchUser,
        caller: Caller,
        permissions: PermissionSet,
        connection: RequestConnection,
    ) -> User:
        require_members(data)
        role_ids = None
        if data.role_ids is not UNSET:
            role_ids = await delegated(connection, permissions, data.role_ids)
        row = await statements.UPDATE_USER.fetch_one(
            connection,
            caller.organization_id,
            user_id,
            *change(checked_metadata(data.metadata)),
            role_ids,
            caller.principal_id,
        )
        if row is None:
            raise user_not_found(user_id)
        return to_user(row)

    @delete("/{user_id:str}", status_code=200)
    async def delete_user(self, user_id: str, caller: Caller, connection: RequestConnection) -> User:
        """The tokens end with the user, the profile stays. Users cannot delete themselves."""
        if user_id == caller.principal_id:
            raise BadRequest("Users cannot delete themselves")
        async with connection.transaction():
            row = await statements.DELETE_USER.fetch_one(connection, caller.organization_id, user_id)
            if row is None:
                raise user_not_found(user_id)
            await uncount(connection, caller.organization_id, "users")
        return to_user(row)
