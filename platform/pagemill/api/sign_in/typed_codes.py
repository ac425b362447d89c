"""Codes that people type, and what the pages say of them."""

from __future__ import annotations

from typing import Final

from db.one_time_codes import ProvenCodeRow, Purpose
from pagemill.api.sign_in.audit_trail import tell
from pagemill.api.sign_in.visits import Visit
from pagemill.people.one_time_codes import try_code

NO_ADDRESS: Final = "This is not an e-mail address."
WRONG_CODE: Final = "The code is wrong, was used already, or has expired."


async def proven_code(visit: Visit, purpose: Purpose, email: str | None) -> ProvenCodeRow | None:
    """Return the code that was typed if it is one of the address; a wrong one is counted, and audited."""
    async with visit.app_state.connection() as connection:
        code = None
        if email is not None:
            code = await try_code(connection, purpose, email, visit.value("code"))
        if code is None:
            await tell(visit, connection, "tryCode", outcome="refused", details={"purpose": purpose})
    return code
