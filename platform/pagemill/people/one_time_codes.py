"""Codes by mail: to recover an account, to prove an address, to accept an invitation.

Codes are letters and digits that cannot be mistaken for each other (Crockford's base 32). The short ones have
60 random bits and work for minutes, that of an invitation has 100 and works for months: nobody finds one from
its hash while it works. A code is made when its mail is sent, see ``db.one_time_codes``.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final, NamedTuple

from db import one_time_codes as statements
from db.one_time_codes import ProvenCodeRow, Purpose
from db.people_mail import mail_code
from db.statements import Connection
from pagemill.ids import CodeId, UserId, new_id

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUP: Final = 4
MINUTES: Final = 20
INVITATION_DAYS: Final = 90
MAIL_DAYS: Final = 2
"""Time in which a mail is sent or given up: after that its code is not made any more."""
DAY: Final = 86400.0
_MEANT = str.maketrans("OIL", "011", " -\t\r\n")


class CodeRules(NamedTuple):
    """Rules of the codes for a purpose: characters, seconds, tries, and codes of an address in an hour."""

    length: int
    seconds: float
    tries: int
    hourly: int


RULES: Final[dict[Purpose, CodeRules]] = {
    # Tries bound luck, for which there is no hope: 500 of them find one of 2^60 codes. They are many, because
    # strangers must not be able to use them up: from one address, 20 in ten minutes are admitted.
    "recover": CodeRules(12, MINUTES * 60.0, 100, 5),
    "verify": CodeRules(12, MINUTES * 60.0, 100, 5),
    "invite": CodeRules(20, INVITATION_DAYS * DAY, 1_000_000, 20),
}


def new_code(purpose: Purpose) -> str:
    """Return a new code, in groups of four."""
    text = "".join(secrets.choice(ALPHABET) for _ in range(RULES[purpose].length))
    return "-".join(text[start : start + GROUP] for start in range(0, len(text), GROUP))


def hash_code(purpose: Purpose, email: str, code: str) -> str:
    """Return what is stored of a code, however it was typed."""
    meant = code.upper().translate(_MEANT)
    return hashlib.sha256(f"{purpose}\0{email}\0{meant}".encode()).hexdigest()


async def order_code(
    connection: Connection,
    purpose: Purpose,
    email: str,
    *,
    user_id: UserId | None = None,
    most_a_day: int | None = None,
) -> CodeId | None:
    """Add a code, which is made when its mail is sent; None when the address has got enough of them.

    With ``most_a_day`` so many are made for the purpose in a day: mail to anybody who is named needs a bound.
    """
    return await statements.insert_code(
        connection,
        code_id=new_id(CodeId),
        purpose=purpose,
        email=email,
        user_id=user_id,
        seconds=MAIL_DAYS * DAY,
        most=RULES[purpose].hourly,
        most_a_day=most_a_day,
    )


async def mail_new_code(
    connection: Connection, purpose: Purpose, email: str, *, url: str, most_a_day: int | None = None
) -> None:
    """Queue mail with a code, and a button that leads to ``url``, where it is entered."""
    code_id = await order_code(connection, purpose, email, most_a_day=most_a_day)
    if code_id is not None:
        await mail_code(connection, address=email, purpose=purpose, code_id=code_id, url=url, minutes=MINUTES)


async def make_code(connection: Connection, code_id: CodeId, purpose: Purpose, email: str) -> str | None:
    """Make a code that was ordered, and return it to be mailed; None when it is not wanted any more."""
    code = new_code(purpose)
    made = await statements.set_code_hash(
        connection,
        code_id=code_id,
        code_hash=hash_code(purpose, email, code),
        seconds=RULES[purpose].seconds,
    )
    return None if made is None else code


async def try_code(connection: Connection, purpose: Purpose, email: str, code: str) -> ProvenCodeRow | None:
    """Return the code that somebody has typed, if it works; a wrong try is counted."""
    return await statements.try_code(
        connection,
        email=email,
        purpose=purpose,
        code_hash=hash_code(purpose, email, code),
        most=RULES[purpose].tries,
    )


async def use_code(connection: Connection, code: ProvenCodeRow) -> bool:
    """Use a code that was proven, and return whether nobody has used it meanwhile."""
    return await statements.use_code(connection, code_id=code.id) is not None
