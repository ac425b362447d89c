"""People who are signed in: the session of a visit, and whose it is."""

from __future__ import annotations

from typing import NamedTuple

from db.profiles import PersonRow
from db.statements import Connection
from pagemill.api.auth.session_cookies import session_of
from pagemill.api.sign_in.visits import Visit
from pagemill.people.accounts import find_person
from pagemill.people.sessions import Session


class Member(NamedTuple):
    """A person in a browser where that person has signed in."""

    person: PersonRow
    session: Session


async def signed_in(visit: Visit, connection: Connection) -> Member | None:
    """Return who has signed in, None when nobody has."""
    session = await session_of(visit.request, connection)
    if session is None:
        return None
    person = await find_person(connection, profile_id=session.profile_id)
    return None if person is None else Member(person, session)
