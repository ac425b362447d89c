"""REST resource ``/users``: users of an organization, and their invitations."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from litestar import Controller, delete, get, patch, post
from litestar.params import Parameter
from msgspec import UNSET, Meta, UnsetType, field

from db import users as statements
from db.app_clients import find_app_client_id
from pagemill.api.auth.guard import Caller
from pagemill.api.http.app_state import AppState
from pagemill.api.http.auditing import RequestAudit
from pagemill.api.http.connections import RequestConnection
from pagemill.api.http.paging import PageRequest, cut
from pagemill.api.http.schemas import (
    Audited,
    Email,
    Metadata,
    RequestStruct,
    ResponseStruct,
    audit,
    checked_metadata,
    require_members,
)
from pagemill.api.resources.roles import ValidRoleIds, roles_to_give
from pagemill.errors import BadRequest, NotFound
from pagemill.ids import AppClientId, PrincipalId, ProfileId, RoleId, UserId, new_id
from pagemill.people.invitations import send_invitation
from pagemill.people.one_time_codes import INVITATION_DAYS
from pagemill.permissions import PermissionSet
from pagemill.usage.counting import count, uncount

ValidAppClientId: TypeAlias = Annotated[AppClientId, Meta(pattern=r"^las:app-client:[a-z0-9-_]+$")]
UserPath = Annotated[UserId, Parameter(description="las:user:<32 hexadecimal digits>")]


class PostUser(RequestStruct):
    """A person to invite; the invitation leads to the login page of the app client ``app_client_id``."""

    email: Email
    app_client_id: ValidAppClientId | UnsetType = UNSET
    metadata: Metadata | None = None
    role_ids: ValidRoleIds = field(default_factory=list)


class PatchUser(RequestStruct):
    """Changes of a user; null clears the metadata."""

    metadata: Metadata | UnsetType | None = UNSET
    role_ids: ValidRoleIds | UnsetType = UNSET


class User(Audited, kw_only=True):
    """A user; the person's name is in the profile, which exists from the first sign-in on."""

    user_id: UserId
    profile_id: ProfileId | None
    status: statements.UserStatus
    metadata: dict[str, Any] | None
    role_ids: list[RoleId]


class Users(ResponseStruct):
    """A page of users."""

    users: list[User]
    next_token: str | None


def to_user(row: statements.UserRow) -> User:
    """Return a user as the API shows it."""
    return User(
        user_id=row.id,
        profile_id=row.profile_id,
        status=row.status,
        metadata=row.metadata,
        role_ids=row.role_ids,
        **audit(row),
    )


def user_not_found(user_id: UserId) -> NotFound:
    """Return the error for a user that the organization does not have."""
    return NotFound(f"User {user_id} not found")


class UserController(Controller):
    """Operations on users."""

    path = "/users"
    tags = ("Users",)

    @post(status_code=200, transaction="request")
    async def create_user(
        self,
        data: PostUser,
        caller: Caller,
        permissions: PermissionSet,
        connection: RequestConnection,
        audited: RequestAudit,
        app_state: AppState,
    ) -> User:
        """Invite a person to the organization by mail.

        The user has the status `invite_pending` until the person signs in for the first time, and `inactive`
        when the invitation expires after 90 days. To send the invitation again, repeat the request: the user
        keeps its id, the 90 days begin again, and the code of the mail before ends. An address that is a user
        already is refused (400).

        The button in the mail leads to the `defaultLoginUrl` of the app client `appClientId`, or to the page
        where the code of the mail is entered. Without `roleIds` the user has full access to the
        organization. The caller needs the permission to delegate each role that it gives (403), and to
        delegate every role to give full access.

        The number of users is limited by the plan (429). So is the mail of an organization in a day, and how
        often one address is invited (429, the message begins with `email:`).
        """
        organization_id = caller.organization_id
        app_client_id = None if data.app_client_id is UNSET else data.app_client_id
        metadata = checked_metadata(data.metadata)
        async with connection.transaction():
            role_ids = await roles_to_give(connection, permissions, data.role_ids, audited)
            if app_client_id is not None and not await find_app_client_id(
                connection, organization_id=organization_id, app_client_id=app_client_id
            ):
                raise BadRequest(f"appClientId: app client {app_client_id} does not exist")
            user_id = new_id(UserId)
            row = await statements.invite_user(
                connection,
                organization_id=organization_id,
                user_id=user_id,
                email=data.email.lower(),
                app_client_id=app_client_id,
                metadata=metadata,
                role_ids=role_ids,
                valid_days=INVITATION_DAYS,
                invited_by=caller.principal_id,
            )
            if row is None:
                raise BadRequest("email: is a user already")
            if row.id == user_id:
                await count(connection, organization_id, "users")
            await send_invitation(
                connection,
                organization_id=organization_id,
                user_id=row.id,
                address=data.email.lower(),
                app_client_id=app_client_id,
                acceptance_url=f"{app_state.settings.public_url.rstrip('/')}/sign-in/invitation",
            )
        return to_user(row)

    @get()
    async def list_users(self, caller: Caller, connection: RequestConnection, page: PageRequest) -> Users:
        """List the users of the organization, oldest first.

        The names of people are in their profiles: see `GET /v1/profiles/{profileId}`.
        """
        rows = await statements.list_users(
            connection,
            organization_id=caller.organization_id,
            after_time=page.after_time,
            after_id=page.after_id,
            limit=page.limit,
        )
        shown, token = cut(rows, page)
        return Users(users=[to_user(row) for row in shown], next_token=token)

    @get("/{user_id:str}")
    async def get_user(self, user_id: UserPath, caller: Caller, connection: RequestConnection) -> User:
        """Get a user.

        `profileId` is null until the person has signed in for the first time.
        """
        row = await statements.get_user(connection, organization_id=caller.organization_id, user_id=user_id)
        if row is None:
            raise user_not_found(user_id)
        return to_user(row)

    @patch("/{user_id:str}")
    async def update_user(
        self,
        user_id: UserPath,
        data: PatchUser,
        caller: Caller,
        permissions: PermissionSet,
        connection: RequestConnection,
        audited: RequestAudit,
    ) -> User:
        """Update the roles or the metadata of a user.

        Members that are not sent keep their value; `metadata` and `roleIds` are replaced as a whole. The
        caller needs the permission to delegate each role that it gives (403).
        """
        require_members(data)
        role_ids = None
        if data.role_ids is not UNSET:
            role_ids = await roles_to_give(connection, permissions, data.role_ids, audited)
        row = await statements.update_user(
            connection,
            organization_id=caller.organization_id,
            user_id=user_id,
            metadata=checked_metadata(data.metadata),
            role_ids=role_ids,
            updated_by=caller.principal_id,
        )
        if row is None:
            raise user_not_found(user_id)
        return to_user(row)

    @delete("/{user_id:str}", status_code=200)
    async def delete_user(self, user_id: UserPath, caller: Caller, connection: RequestConnection) -> User:
        """Remove a user from the organization.

        The user's access tokens stop working at once; the person's profile stays. A user cannot delete
        itself (400).
        """
        if PrincipalId(user_id) == caller.principal_id:
            raise BadRequest("Users cannot delete themselves")
        async with connection.transaction():
            row = await statements.delete_user(
                connection, organization_id=caller.organization_id, user_id=user_id
            )
            if row is None:
                raise user_not_found(user_id)
            await uncount(connection, caller.organization_id, "users")
        return to_user(row)
