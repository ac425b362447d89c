"""Sessions: browsers in which people have signed in.

A session is known by a random cookie, of which only the hash is stored. It ends after a time, by signing out,
and with everything else of a person when a password changes.
"""

from __future__ import annotations

import secrets
from typing import NewType

from db import sign_in_sessions as statements
from db import token_grants
from db.sign_in_sessions import SessionRow as Session
from db.statements import Connection
from pagemill.client_credentials import hash_secret
from pagemill.ids import ProfileId

__all__ = [
    "Session",
    "SessionCookie",
    "begin_session",
    "continue_session",
    "end_everything_of",
    "end_session",
    "find_session",
]

SessionCookie = NewType("SessionCookie", str)
"""The value of a session's cookie, which nobody but its browser knows."""

COOKIE_BYTES = 32
LONGEST_COOKIE = 100
LONGEST_USER_AGENT = 500


async def begin_session(
    connection: Connection,
    profile_id: ProfileId,
    address: str | None,
    user_agent: str | None,
    *,
    seconds: float,
) -> SessionCookie:
    """Begin a session of a person who has just proved to be that person, and return its new cookie.

    Whatever cookie the browser had before is worth nothing for it: a session cannot be planted. It ends after
    ``seconds`` (the setting ``session_lifetime``).
    """
    cookie = SessionCookie(secrets.token_urlsafe(COOKIE_BYTES))
    await statements.insert_session(
        connection,
        id_hash=hash_secret(cookie),
        profile_id=profile_id,
        seconds=seconds,
        address=address,
        user_agent=None if user_agent is None else _storable(user_agent),
    )
    return cookie


async def find_session(connection: Connection, cookie: str | None) -> Session | None:
    """Return the session of a cookie; None without one, and for one that has ended."""
    if not cookie or len(cookie) > LONGEST_COOKIE:
        return None
    return await statements.see_session(connection, id_hash=hash_secret(cookie))


async def end_session(connection: Connection, session: Session) -> None:
    """End a session, and what was granted in it."""
    await statements.end_session(connection, id_hash=session.id_hash)
    await token_grants.end_grants_of_session(connection, session_id_hash=session.id_hash, reason="signed out")


async def continue_session(connection: Connection, former: Session, session: Session) -> None:
    """End a session after which the same person has signed in again in the same browser.

    What was granted in it goes on, and ends with the new one.
    """
    await statements.end_session(connection, id_hash=former.id_hash)
    await token_grants.move_grants_of_session(
        connection, former_id_hash=former.id_hash, session_id_hash=session.id_hash
    )


async def end_everything_of(
    connection: Connection,
    profile_id: ProfileId,
    but: Session | None = None,
    *,
    reason: str = "signed out everywhere",
) -> None:
    """End all sessions and grants of a person, but for one session and what was granted in it.

    All access and refresh tokens of the person are refused from the next request on.
    """
    kept = None if but is None else but.id_hash
    await statements.end_sessions_of(connection, profile_id=profile_id, but=kept)
    await token_grants.end_grants_of(connection, profile_id=profile_id, but=kept, reason=reason)


def _storable(user_agent: str) -> str:
    """Return the beginning of a header's text without characters that Postgres does not store."""
    return user_agent.replace("\0", "")[:LONGEST_USER_AGENT]
