"""Arguments for any statement, made from the declared types of its parameters."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

import msgspec

from db.statements import Statement
from tests.support.full_organization import (
    MONTH,
    STATES,
    TIME,
    FullOrganization,
    State,
    alone_of,
    code_hash_of,
    email_of,
    key_of,
    message_key_of,
    token_hash_of,
)

PAGING = {"after_time": None, "limit": 100}
ORGANIZATION = ("organization_id", "organization_ids")
PLAIN: dict[type, Any] = {
    bool: True,
    int: 1,
    float: 1.0,
    bytes: b"new",
    Decimal: Decimal(1),
    datetime: TIME,
}


def arguments_of(
    statement: Statement[..., Any], organization: FullOrganization
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield sets of arguments with ids of an organization, each with a name; the organization is not in them.

    There is one for each state of the rows, with and without the optional ones, and, for statements that
    insert, one for each id or key that could be a new one.
    """
    for state in STATES:
        given = _Values(organization, state)
        full = {
            name: given.value(name, hint)
            for name, hint in statement.hints.items()
            if name not in ORGANIZATION
        }
        yield state, full
        optional = {name for name in full if _allows_none(statement.hints[name])}
        if optional - PAGING.keys() - {"after_id"}:
            yield f"{state}, without optional ones", {**full, **dict.fromkeys(optional)}
        if "INSERT INTO" in statement.sql:
            for name in full:
                if name.endswith(("_id", "_ids", "month", "key", "email")) and isinstance(
                    full[name], str | list
                ):
                    new = f"new {name}"
                    yield (
                        f"{state}, new {name}",
                        {**full, name: new if isinstance(full[name], str) else [new]},
                    )


class _Values:
    """Values that rows of one state have, and new ones for the rest."""

    def __init__(self, organization: FullOrganization, state: State) -> None:
        self.ids = organization.ids[state]
        self.named: dict[str, Any] = {
            **PAGING,
            "month": MONTH,
            "months": [MONTH],
            "meter": "pages",
            "meters": ["pages"],
            "predictions": ["[]"],
            "preprocess_configs": ["{}"],
            "kind": "prediction",
            "kinds": ["prediction"],
            "slug": f"las:plan:{organization.marker}",
            "email": email_of(organization, state),
            "key": key_of(organization),
            "client_id": "a new client",
            "code_hash": code_hash_of(organization, state),
            "token_hash": token_hash_of(organization, state),
            "epoch": 0,
            "address": email_of(organization, state),
            "message_key": message_key_of(organization),
            "url": f"{organization.marker} url",
            "event_type": "prediction.failed",
            "model_reference": self.ids["ModelId"],
            "owner_ids": [*self.ids.values()],
            "owners": [*self.ids.values()],
            "labels": {"total": 1},
            "priority": 0,
            "kept_seconds": 0.0,
            "waited": -1.0,
            "created_by": self.ids["UserId"],
            "wanted_id": organization.organization_id,
            "from_line": 0,
            "after_workflow_id": "",
            "named": [self.ids["DocumentId"]],
            "still_named": [],
            "alone_ids": [alone_of(self.ids["TransitionExecutionId"])],
        }

    def value(self, name: str, hint: Any) -> Any:
        if name == "after_id":
            return None if _allows_none(hint) else ""
        if name == "amounts":
            return [item(1) for item in get_args(hint)]
        return self.named[name] if name in self.named else self.typed(name, hint)

    def typed(self, name: str, hint: Any) -> Any:
        """Return a value of a type. Raises KeyError for a type that it does not know."""
        if isinstance(hint, NewType):
            return self.ids[hint.__name__]
        origin = get_origin(hint)
        if origin in (Union, types.UnionType):
            inner = [one for one in get_args(hint) if one not in (type(None), msgspec.UnsetType)]
            return self.typed(name, inner[0])
        if origin is Annotated:
            return self.typed(name, get_args(hint)[0])
        if origin is Literal:
            return get_args(hint)[0]
        if origin in (dict, Mapping):
            return {}
        if origin in (list, Sequence):
            (item,) = get_args(hint)
            return [] if get_origin(item) is dict else [self.typed(name, item)]
        return f"new {name}" if hint is str else PLAIN[hint]


def _allows_none(hint: Any) -> bool:
    return type(None) in get_args(hint)
