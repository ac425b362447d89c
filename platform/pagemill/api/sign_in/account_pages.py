"""Pages of people who are signed in: their organizations, the choice of one, and the ways out."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post

from db.identities import list_issuers
from db.passwords import find_password_hash
from db.statements import Connection
from pagemill.api.auth.authorize import SIGN_IN_PATH, continue_authorization
from pagemill.api.auth.session_cookies import no_session_cookie
from pagemill.api.http.app_state import AppState
from pagemill.api.http.requests import ApiRequest
from pagemill.api.sign_in.admission import ACCOUNT_PATH
from pagemill.api.sign_in.audit_trail import tell
from pagemill.api.sign_in.members import signed_in
from pagemill.api.sign_in.pages import page, redirect
from pagemill.api.sign_in.visits import Visit, open_form, open_visit
from pagemill.errors import Forbidden
from pagemill.ids import ProfileId, UserId
from pagemill.people.accounts import Choice, accept_invitation, list_choices
from pagemill.people.sessions import end_everything_of, end_session

ORGANIZATION: Final = "organization.html.j2"
ACCOUNT: Final = "account.html.j2"
SIGNED_OUT: Final = "signed_out.html.j2"


@get("/organization")
async def show_organizations(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Show the organizations that a person can choose for an app."""
    visit = await open_visit(request, app_state)
    async with app_state.connection() as connection:
        member = await signed_in(visit, connection)
        if member is None:
            return redirect(visit.link(SIGN_IN_PATH))
        if visit.asked is None:
            return redirect(ACCOUNT_PATH)
        asked = visit.asked
        only = None if asked.spans_organizations else asked.organization_id
        choices = await list_choices(connection, member.person, only=only)
    return page(visit, ORGANIZATION, email=member.person.email, choices=choices)


@post("/organization")
async def choose_organization(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Go on with the organization that was chosen, whose invitation is accepted if it is one.

    Raises Forbidden for one that is not the person's.
    """
    visit = await open_form(request, app_state)
    async with app_state.connection() as connection, connection.transaction():
        member = await signed_in(visit, connection)
        if member is None:
            return redirect(visit.link(SIGN_IN_PATH))
        asked = visit.asked
        only = None if asked is None or asked.spans_organizations else asked.organization_id
        choices = await list_choices(connection, member.person, only=only)
        user_id = UserId(visit.value("user"))
        chosen = next((choice for choice in choices if choice.user_id == user_id), None)
        if chosen is None:
            raise Forbidden("You are not a user of this organization.")
        if chosen.invited and await accept_invitation(connection, member.person, user_id):
            await _tell_of_acceptance(visit, connection, member.person.id, chosen)
        if asked is None:
            return redirect(ACCOUNT_PATH)
        return redirect(
            await continue_authorization(app_state, connection, asked, member.session, user_id=user_id)
        )


@get("/account")
async def show_account(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Show who has signed in, the organizations, and what can be done."""
    visit = await open_visit(request, app_state)
    async with app_state.connection() as connection:
        member = await signed_in(visit, connection)
        if member is None:
            return redirect(SIGN_IN_PATH)
        choices = await list_choices(connection, member.person)
        issuers = set(await list_issuers(connection, profile_id=member.person.id))
        has_password = await find_password_hash(connection, profile_id=member.person.id) is not None
    return page(
        visit,
        ACCOUNT,
        person=member.person,
        choices=choices,
        has_password=has_password,
        providers=[one.title for one in visit.services.providers.values() if one.issuer in issuers],
        changed="changed" in request.query_params,
    )


@post("/sign-out")
async def sign_out(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Sign this browser out, with the apps that it is signed in to."""
    visit = await open_form(request, app_state)
    async with app_state.connection() as connection, connection.transaction():
        member = await signed_in(visit, connection)
        if member is not None:
            await end_session(connection, member.session)
            await tell(visit, connection, "signOut", profile_id=member.person.id)
    return page(visit, SIGNED_OUT, everywhere=False, cookies=[no_session_cookie()])


@post("/sign-out-everywhere")
async def sign_out_everywhere(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """End all sessions of a person, and all tokens of apps."""
    visit = await open_form(request, app_state)
    async with app_state.connection() as connection, connection.transaction():
        member = await signed_in(visit, connection)
        if member is None:
            return redirect(SIGN_IN_PATH)
        await end_everything_of(connection, member.person.id, reason="signed out everywhere")
        await tell(visit, connection, "signOutEverywhere", profile_id=member.person.id)
    return page(visit, SIGNED_OUT, everywhere=True, cookies=[no_session_cookie()])


async def _tell_of_acceptance(
    visit: Visit, connection: Connection, profile_id: ProfileId, chosen: Choice
) -> None:
    await tell(
        visit,
        connection,
        "acceptInvitation",
        profile_id=profile_id,
        organization_id=chosen.organization_id,
        resource_id=chosen.user_id,
    )
