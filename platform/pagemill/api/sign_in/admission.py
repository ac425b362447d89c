"""The end of each way to sign in: a session begins, and the browser goes on to its app."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response

from db.profiles import PersonRow
from db.statements import Connection
from pagemill.api.auth.authorize import ORGANIZATION_PATH, continue_authorization
from pagemill.api.auth.session_cookies import session_cookie, session_of
from pagemill.api.sign_in.audit_trail import tell
from pagemill.api.sign_in.connecting import connect_account
from pagemill.api.sign_in.cookies import (
    connecting_cookie,
    connecting_value,
    form_cookie,
    new_form_value,
)
from pagemill.api.sign_in.pages import redirect
from pagemill.api.sign_in.visits import Visit
from pagemill.errors import Forbidden
from pagemill.ids import ProfileId
from pagemill.people.accounts import accept_invitation, find_person, list_choices
from pagemill.people.sessions import Session, begin_session, continue_session, end_session, find_session

ACCOUNT_PATH: Final = "/sign-in/account"


async def sign_in_person(
    visit: Visit, connection: Connection, profile_id: ProfileId, *, way: str
) -> Response[Any]:
    """Begin a session of a person who has proved to be that person; call it in a transaction.

    Session and form cookies are new ones: whatever the browser had before is worth nothing.
    """
    person = await find_person(connection, profile_id=profile_id)
    if person is None:
        raise Forbidden
    seconds = visit.app_state.settings.session_lifetime
    before = await session_of(visit.request, connection)
    if before is not None and before.profile_id != person.id:
        await end_session(connection, before)
    cookie = await begin_session(
        connection,
        person.id,
        visit.address,
        visit.request.headers.get("user-agent"),
        seconds=seconds,
    )
    session = await find_session(connection, cookie)
    assert session is not None
    if before is not None and before.profile_id == person.id:
        await continue_session(connection, before, session)
    connected = await connect_account(visit, connection, person)
    await tell(visit, connection, "signIn", profile_id=person.id, details={"way": way} | connected)
    place = await next_place(visit, connection, person, session)
    cookies = [session_cookie(cookie, seconds=seconds), form_cookie(new_form_value())]
    if connecting_value(visit.request):
        cookies.append(connecting_cookie("", seconds=0))
    return redirect(place, cookies=cookies)


async def next_place(visit: Visit, connection: Connection, person: PersonRow, session: Session) -> str:
    """Return where the browser of a person goes who has signed in.

    The only organization that a person can choose needs no choice: an invitation to it is accepted. With
    several, of which some invite, the person chooses; without invitations the authorization server goes on.
    """
    asked = visit.asked
    only = None if asked is None or asked.spans_organizations else asked.organization_id
    choices = await list_choices(connection, person, only=only)
    if any(choice.invited for choice in choices):
        if len(choices) > 1 and asked is not None:
            return visit.link(ORGANIZATION_PATH)
        if len(choices) == 1 and await accept_invitation(connection, person, choices[0].user_id):
            await tell(
                visit,
                connection,
                "acceptInvitation",
                profile_id=person.id,
                organization_id=choices[0].organization_id,
                resource_id=choices[0].user_id,
            )
    if asked is None:
        return ACCOUNT_PATH
    return await continue_authorization(visit.app_state, connection, asked, session)
