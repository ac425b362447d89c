"""Accounts at OpenID providers: whose they are, and whom a new one lets in."""

from __future__ import annotations

import msgspec

from db.identities import can_sign_in, find_identity, insert_identity
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
    decides: bool = False
    """Whether the operator has said that the provider decides who has addresses of this domain."""


class AddressTaken(Exception):
    """The address is that of a person who signs in otherwise, and has to say that the account is theirs."""

    def __init__(self, profile_id: ProfileId) -> None:
        super().__init__(profile_id)
        self.profile_id = profile_id


async def find_or_admit(
    connection: Connection, account: ProviderAccount, *, anybody: bool
) -> ProfileId | None:
    """Return the person of an account at a provider; None when it is nobody's, and nobody may be made of it.

    The account decides, whatever its address is now. The first time, its verified address decides: one that
    was invited, or with ``anybody`` each, is let in. That of a person is not enough where the person has a
    password or another account: raises AddressTaken, unless the provider decides about the domain. Addresses
    change hands, and not every provider notices.
    """
    known = await find_identity(connection, issuer=account.issuer, subject=account.subject)
    if known is not None:
        return known
    email = None if account.email is None else read_address(account.email)
    if email is None or not await _may_enter(connection, email, anybody=anybody):
        return None
    taken_by = await find_profile_id(connection, email=email)
    if taken_by is not None and not account.decides and await can_sign_in(connection, profile_id=taken_by):
        raise AddressTaken(taken_by)
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
