"""Ids in a request's body: check that the resources exist, and keep them until the transaction ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from db import assets, secrets, transitions
from db.statements import Connection
from pagemill.api.auth.guard import Caller
from pagemill.errors import BadRequest
from pagemill.ids import AssetId, SecretId, TransitionId

Id = TypeVar("Id", bound=str)


async def keep_secrets(connection: Connection, caller: Caller, named: Mapping[str, Iterable[str]]) -> None:
    """Check that the secrets exist; ``named`` has their ids by the member that names them.

    Raises BadRequest naming the member.
    """
    members = _members_by_id(SecretId, named)
    if members:
        kept = await secrets.keep_secrets(
            connection, organization_id=caller.organization_id, secret_ids=sorted(members)
        )
        _refuse_missing("secret", members, kept)


async def keep_assets(connection: Connection, caller: Caller, named: Mapping[str, Iterable[str]]) -> None:
    """Check that the assets exist; ``named`` has their ids by the member that names them.

    Raises BadRequest naming the member.
    """
    members = _members_by_id(AssetId, named)
    if members:
        kept = await assets.keep_assets(
            connection, organization_id=caller.organization_id, asset_ids=sorted(members)
        )
        _refuse_missing("asset", members, kept)


async def keep_transitions(
    connection: Connection, caller: Caller, named: Mapping[str, Iterable[str]]
) -> None:
    """Check that the transitions exist; ``named`` has their ids by the member that names them.

    Raises BadRequest naming the member.
    """
    members = _members_by_id(TransitionId, named)
    if members:
        kept = await transitions.keep_transitions(
            connection, organization_id=caller.organization_id, transition_ids=sorted(members)
        )
        _refuse_missing("transition", members, kept)


def _members_by_id(id_type: Callable[[str], Id], named: Mapping[str, Iterable[str]]) -> dict[Id, str]:
    return {id_type(identifier): member for member, ids in named.items() for identifier in ids}


def _refuse_missing(kind: str, members: Mapping[Id, str], kept: Iterable[Id]) -> None:
    missing = sorted(members.keys() - set(kept))
    if missing:
        raise BadRequest(f"{members[missing[0]]}: {kind} {missing[0]} does not exist")
