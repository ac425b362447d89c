"""An account at a provider whose address is that of a person here, until the person says that it is theirs.

It waits in the browser, sealed. Whoever signs in there as that person in any other way connects it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar.datastructures import Cookie

from db.identities import insert_identity
from db.profiles import PersonRow
from db.statements import Connection
from pagemill.api.sign_in.cookies import connecting_cookie, connecting_value
from pagemill.api.sign_in.openid.providers import Provider
from pagemill.api.sign_in.sealed_texts import open_text, seal_text
from pagemill.api.sign_in.visits import Visit
from pagemill.ids import ProfileId
from pagemill.people.identities import ProviderAccount

PURPOSE: Final = "connect"
SECONDS: Final = 900


class WaitingAccount(msgspec.Struct, frozen=True):
    """An account that waits; ``title`` is that of its provider."""

    profile_id: ProfileId
    issuer: str
    subject: str
    title: str


def account_to_connect(provider: Provider, account: ProviderAccount, profile_id: ProfileId) -> WaitingAccount:
    """Return an account that is to be connected to a person."""
    return WaitingAccount(profile_id, account.issuer, account.subject, provider.title)


def keep_waiting(visit: Visit, waiting: WaitingAccount) -> Cookie:
    """Return the cookie with an account that waits."""
    data = msgspec.to_builtins(waiting)
    sealed = seal_text(visit.app_state.secret_box, PURPOSE, data, seconds=SECONDS)
    return connecting_cookie(sealed, seconds=SECONDS)


def waiting_account(visit: Visit) -> WaitingAccount | None:
    """Return the account that waits in a browser."""
    data: dict[str, Any] | None = open_text(
        visit.app_state.secret_box, PURPOSE, connecting_value(visit.request)
    )
    return None if data is None else msgspec.convert(data, WaitingAccount)


async def connect_account(visit: Visit, connection: Connection, person: PersonRow) -> dict[str, str]:
    """Connect the account that waits, if it is for this person; return what the audit tells of it."""
    waiting = waiting_account(visit)
    if waiting is None or waiting.profile_id != person.id:
        return {}
    await insert_identity(connection, issuer=waiting.issuer, subject=waiting.subject, profile_id=person.id)
    return {"connected": waiting.title}
