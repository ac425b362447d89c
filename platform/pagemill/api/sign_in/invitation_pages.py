"""Pages to accept an invitation with the code of its mail: the first sign-in, which makes the profile."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post

from db.one_time_codes import ProvenCodeRow
from db.passwords import CredentialsRow, find_credentials, set_password_hash
from db.statements import Connection
from pagemill.api.http.app_state import AppState
from pagemill.api.http.requests import ApiRequest
from pagemill.api.sign_in.admission import sign_in_person
from pagemill.api.sign_in.audit_trail import tell
from pagemill.api.sign_in.pages import page
from pagemill.api.sign_in.typed_codes import WRONG_CODE, proven_code
from pagemill.api.sign_in.visits import Visit, open_form, open_visit
from pagemill.errors import BadRequest
from pagemill.ids import ProfileId
from pagemill.people.accounts import LONGEST_NAME, accept_invitation, find_person, keep_person
from pagemill.people.addresses import read_address
from pagemill.people.one_time_codes import use_code
from pagemill.people.password_rules import problem_with

INVITATION: Final = "invitation.html.j2"
GONE: Final = "This invitation has expired, or was taken back. Ask whoever invited you for another one."
OTHER_PASSWORD: Final = "You have an account already: enter its password, or sign in first."  # noqa: S105 - a text


@get("/invitation")
async def show_invitation(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Show the form for the code, the name and a password."""
    return _invitation_page(await open_visit(request, app_state))


@post("/invitation")
async def accept(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Make an invited user an active one, and sign in.

    Whoever has an account proves it by its password: an old mail must not be enough to take it over.
    """
    visit = await open_form(request, app_state)
    email, password = read_address(visit.value("email")), visit.value("new_password")
    visit.admit("code", email or "")
    code = await proven_code(visit, "invite", email)
    if code is None or email is None:
        return _invitation_page(visit, status=400, wrong="code", error=WRONG_CODE)
    async with app_state.connection() as connection:
        credentials = await find_credentials(connection, email=email)
    if credentials is not None:
        visit.admit("password", email)
        if not await visit.services.passwords.matches(password, credentials.hash):
            return _invitation_page(visit, status=400, wrong="new_password", error=OTHER_PASSWORD)
        return await _finish(visit, email, code, credentials, None)
    problem = problem_with(password, email=email)
    if problem is not None:
        return _invitation_page(visit, status=400, wrong="new_password", error=problem)
    return await _finish(visit, email, code, None, await visit.services.passwords.hash(password))


async def _finish(
    visit: Visit,
    email: str,
    code: ProvenCodeRow,
    credentials: CredentialsRow | None,
    password_hash: str | None,
) -> Response[Any]:
    async with visit.app_state.connection() as connection, connection.transaction():
        if code.user_id is None or not await use_code(connection, code):
            return _invitation_page(visit, status=400, wrong="code", error=WRONG_CODE)
        profile_id = await _profile(visit, connection, email, credentials, password_hash)
        person = None if profile_id is None else await find_person(connection, profile_id=profile_id)
        if person is None or not await accept_invitation(connection, person, code.user_id):
            # Nothing is kept: neither the profile, nor that the code was used.
            raise BadRequest(GONE)
        await tell(visit, connection, "acceptInvitation", profile_id=person.id, resource_id=code.user_id)
        return await sign_in_person(visit, connection, person.id, way="invitation")


async def _profile(
    visit: Visit,
    connection: Connection,
    email: str,
    credentials: CredentialsRow | None,
    password_hash: str | None,
) -> ProfileId | None:
    """Return the profile of the person, which is made at the first sign-in; None when there is one by now."""
    if credentials is not None:
        return credentials.profile_id
    if password_hash is None or await find_credentials(connection, email=email) is not None:
        return None
    profile_id = await keep_person(
        connection,
        email,
        given_name=named(visit, "given_name"),
        family_name=named(visit, "family_name"),
    )
    await set_password_hash(connection, profile_id=profile_id, hash=password_hash)
    return profile_id


def named(visit: Visit, field: str) -> str | None:
    """Return a name that was filled in, on one line; None without one."""
    return " ".join(visit.value(field).split())[:LONGEST_NAME] or None


def _invitation_page(visit: Visit, *, status: int = 200, wrong: str = "", error: str = "") -> Response[Any]:
    return page(
        visit,
        INVITATION,
        status=status,
        filled={name: visit.value(name) for name in ("email", "code", "given_name", "family_name")},
        wrong=wrong,
        error=error,
    )
