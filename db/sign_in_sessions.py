"""Sessions of people: browsers in which they have signed in. They belong to no organization."""

from __future__ import annotations

import datetime

from db.statements import Connection, Row, RowCount, columns, crossing
from pagemill.ids import ProfileId

PERSON = "a session is a person's, who may be a user of several organizations"


class SessionRow(Row):
    """A session. ``id_hash`` is the hash of its cookie."""

    id_hash: str
    profile_id: ProfileId
    created_time: datetime.datetime
    seen_time: datetime.datetime
    expires_time: datetime.datetime
    address: str | None
    user_agent: str | None


SESSION = columns(SessionRow)


@crossing(
    PERSON,
    """
    WITH forgotten AS (
        DELETE FROM sign_in_session
        WHERE profile_id = :profile_id AND coalesce(ended_time, expires_time) < now() - interval '1 day'
    )
    INSERT INTO sign_in_session (id_hash, profile_id, expires_time, address, user_agent)
    VALUES (:id_hash, :profile_id, now() + make_interval(secs => :seconds), :address, :user_agent)
    """,
)
async def insert_session(
    connection: Connection,
    *,
    id_hash: str,
    profile_id: ProfileId,
    seconds: float,
    address: str | None,
    user_agent: str | None,
) -> None:
    """Add a session, and forget those of the person that have been over for a day."""


@crossing(
    PERSON,
    f"""
    UPDATE sign_in_session SET seen_time = now()
    WHERE id_hash = :id_hash AND ended_time IS NULL AND expires_time > now()
    RETURNING {SESSION}
    """,
)
async def see_session(connection: Connection, *, id_hash: str) -> SessionRow | None:
    """Return a session that has not ended, and note that it was seen."""


@crossing(
    PERSON, "UPDATE sign_in_session SET ended_time = now() WHERE id_hash = :id_hash AND ended_time IS NULL"
)
async def end_session(connection: Connection, *, id_hash: str) -> RowCount:
    """End a session."""


@crossing(
    PERSON,
    """
    UPDATE sign_in_session SET ended_time = now()
    WHERE profile_id = :profile_id AND ended_time IS NULL AND id_hash <> coalesce(:but::text, '')
    """,
)
async def end_sessions_of(connection: Connection, *, profile_id: ProfileId, but: str | None) -> RowCount:
    """End the sessions of a person, but for one."""
