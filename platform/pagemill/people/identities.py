"""Accounts at OpenID providers: whose they are, and whom a new one lets in."""

from __future__ import annotations

import msgspec

from db.identities import find_identity, insert_identity
from db.statements import Connection
from pagemill.ids import ProfileId
from pagemill.people.accounts import find_profile_id, is_invited, keep_person
from pagemill.people.addresses import read_address


class ProviderAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account at a provider, as its verified ID token tells it.

    ``email`` is None unless the provider says that it has verified the address.
    """

    issuer: str
    subject: str
    email: str | None
    given_name: str | None = None
    family_name: str | None = None


async def find_or_admit(
    connection: Connection, account: ProviderAccount, *, anybody: bool
) -> ProfileId | None:
    """Return the person of an account at a provider; None when it is nobody's, and nobody may be made of it.

    The account decides, whatever its address is now. The first time, its verified address decides: that of a
    person, whose account it becomes, or one that was invited. With ``anybody``, each verified one is let in.
    """
    known = await find_identity(connection, issuer=account.issuer, subject=account.subject)
    if known is not None:
        return known
    email = None if account.email is None else read_address(account.email)
    if email is None or not await _may_enter(connection, email, anybody=anybody):
        return None
    profile_id = await keep_person(
        connection, email, given_name=account.given_name, family_name=account.family_name
    )
    await insert_identity(connection, issuer=account.issuer, subject=account.subject, profile_id=profile_id)
    return profile_id


async def _may_enter(connection: Connection, email: str, *, anybody: bool) -> bool:
    return (
        anybody
        or await find_profile_id(connection, email=email) is not None
        or await is_invited(connection, email)
    )
