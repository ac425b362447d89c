"""Codes that an operator hands on, where there is no mail server or a mail does not arrive."""

from __future__ import annotations

import msgspec

from db.invitations import list_invitations
from db.one_time_codes import Purpose, insert_code
from db.profiles import find_profile_id
from db.statements import Connection
from pagemill.errors import NotFound
from pagemill.ids import CodeId, UserId, new_id
from pagemill.people.accounts import MOST_INVITATIONS
from pagemill.people.addresses import read_address
from pagemill.people.one_time_codes import DAY, MAIL_DAYS, make_code

NO_BOUND = 1_000_000


class HandedCode(msgspec.Struct, frozen=True):
    """A code, what it is for, and the organization of an invitation."""

    code: str
    purpose: Purpose
    organization: str = ""


async def make_codes(connection: Connection, address: str) -> list[HandedCode]:
    """Return new codes for an address: to recover its account, or for each of its invitations.

    Raises NotFound for one that has neither.
    """
    email = read_address(address)
    if email is None:
        raise NotFound(f"{address} is not an e-mail address")
    if await find_profile_id(connection, email=email) is not None:
        return [HandedCode(await _make(connection, "recover", email), "recover")]
    codes = [
        HandedCode(
            await _make(connection, "invite", email, row.user_id),
            "invite",
            row.organization_name or row.organization_id,
        )
        for row in await list_invitations(connection, email=email, limit=MOST_INVITATIONS)
    ]
    if not codes:
        raise NotFound(f"{email} has no account, and no invitation that is valid")
    return codes


async def _make(connection: Connection, purpose: Purpose, email: str, user_id: UserId | None = None) -> str:
    code_id = await insert_code(
        connection,
        code_id=new_id(CodeId),
        purpose=purpose,
        email=email,
        user_id=user_id,
        seconds=MAIL_DAYS * DAY,
        most=NO_BOUND,
        most_a_day=None,
    )
    code = None if code_id is None else await make_code(connection, code_id, purpose, email)
    assert code is not None, "nothing bounds the codes of operators"
    return code
