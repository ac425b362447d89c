"""Ids in a body: what they name has to be the organization's, and stays until the transaction ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from db import assets
from db.secrets import KEEP_SECRETS
from db.statements import Connection, UntypedStatement
from db.transitions import KEEP_TRANSITIONS
from pagemill.api.auth.guard import Caller
from pagemill.errors import BadRequest
from pagemill.ids import AssetId


async def keep_secrets(connection: Connection, caller: Caller, named: Mapping[str, Iterable[str]]) -> None:
    """``named`` holds ids by the member that names them. Raises BadRequest naming the member."""
    await _keep(connection, caller, "secret", KEEP_SECRETS, named)


async def keep_assets(connection: Connection, caller: Caller, named: Mapping[str, Iterable[str]]) -> None:
    """``named`` holds ids by the member that names them. Raises BadRequest naming the member."""
    wanted = {AssetId(identifier): member for member, ids in named.items() for identifier in ids}
    kept = await assets.keep_assets(
        connection, organization_id=caller.organization_id, asset_ids=sorted(wanted)
    )
    _refuse_missing("asset", wanted, kept)


async def keep_transitions(
    connection: Connection, caller: Caller, named: Mapping[str, Iterable[str]]
) -> None:
    """``named`` holds ids by the member that names them. Raises BadRequest naming the member."""
    await _keep(connection, caller, "transition", KEEP_TRANSITIONS, named)


async def _keep(
    connection: Connection,
    caller: Caller,
    kind: str,
    statement: UntypedStatement,
    named: Mapping[str, Iterable[str]],
) -> None:
    wanted = {identifier: member for member, ids in named.items() for identifier in ids}
    if not wanted:
        return
    rows = await statement.fetch(connection, caller.organization_id, sorted(wanted))
    _refuse_missing(kind, wanted, [row["id"] for row in rows])


def _refuse_missing(kind: str, wanted: Mapping[Any, str], kept: Iterable[str]) -> None:
    missing = sorted(wanted.keys() - set(kept))
    if missing:
        raise BadRequest(f"{wanted[missing[0]]}: {kind} {missing[0]} does not exist")
