"""Mail to people about their own accounts, which are no organization's.

Like other mail it is a job, and the data of the message is its payload. Its code is not in it: see
``db.one_time_codes``.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from db.jobs import NEW_JOB_ID, queueing
from db.mail import AVAILABLE, KIND, MAXIMUM_ATTEMPTS
from db.one_time_codes import Purpose
from db.statements import Connection, NeverNull, crossing
from pagemill.ids import CodeId

AccountEvent: TypeAlias = Literal["exists", "password-changed"]
"""Somebody has tried to sign up with the address of an account; its password was changed."""
NOBODYS = "''"
"""Organization of the jobs: they take turns with those of organizations, as if they were one's."""
PRIORITY = 0
"""Somebody waits for it."""
PERSON = "mail to a person about its own account, which is no organization's"


def _queueing(payload: str) -> str:
    return queueing(
        f"'{KIND}'",
        f"""
        SELECT {NOBODYS}, id, '{KIND}', id,
            jsonb_build_object('to', :address::text, 'organization', '') || {payload},
            {PRIORITY}, {MAXIMUM_ATTEMPTS}
        FROM (SELECT {NEW_JOB_ID} AS id) AS message WHERE {AVAILABLE}
        """,
    )


@crossing(
    PERSON,
    _queueing("""jsonb_build_object(
        'notice', 'code', 'purpose', :purpose::text, 'codeId', :code_id::text, 'url', :url::text,
        'minutes', :minutes::integer
    )"""),
)
async def mail_code(
    connection: Connection, *, address: str, purpose: Purpose, code_id: CodeId, url: str, minutes: int
) -> Annotated[int, NeverNull("count(*)")]:
    """Queue mail with a code; the button leads to ``url``."""


@crossing(
    PERSON,
    _queueing("jsonb_build_object('notice', 'account', 'event', :event::text, 'url', :url::text)"),
)
async def mail_account_notice(
    connection: Connection, *, address: str, event: AccountEvent, url: str
) -> Annotated[int, NeverNull("count(*)")]:
    """Queue mail that something has happened to an account; the button leads to ``url``."""
