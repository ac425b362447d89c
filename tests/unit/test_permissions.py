"""Tests of permissions and of the decisions from them."""

from __future__ import annotations

import msgspec
import pytest

from pagemill.permissions import CACHED_KINDS, EVERYTHING, Action, Permission, PermissionSet, permissions_of

DATASET = "las:dataset:1"


def permissions(*triples: tuple[str, str, str]) -> PermissionSet:
    return PermissionSet(msgspec.convert(triple, Permission) for triple in _named(triples))


def _named(triples: tuple[tuple[str, str, str], ...]) -> list[dict[str, str]]:
    return [dict(zip(("resourceId", "action", "effect"), triple, strict=True)) for triple in triples]


@pytest.mark.parametrize(
    ("resource_id", "allowed"),
    [
        ("*", True),
        ("las:dataset:*", True),
        ("las:*:1", True),
        ("las:dataset:1", True),
        ("las:dataset", False),
        ("las:dataset:", False),
        ("las:dataset:2", False),
        ("las:document:*", False),
        ("LAS:dataset:1", False),
        ("as:dataset:1", False),
        ("las:dataset:1\n", False),
    ],
)
def test_globs(resource_id: str, allowed: bool) -> None:
    assert permissions((resource_id, "read", "allow")).allows(DATASET, "read") is allowed


@pytest.mark.parametrize("action", ["read", "write", "delegate"])
def test_actions_are_distinguished(action: Action) -> None:
    for granted in ("read", "write", "delegate", "*"):
        allowed = permissions((DATASET, granted, "allow")).allows(DATASET, action)
        assert allowed is (granted in (action, "*"))


def test_nothing_is_allowed_without_a_permission() -> None:
    assert not permissions().allows(DATASET, "read")


def test_denial_overrides_permissions() -> None:
    one = permissions(("*", "*", "allow"), (DATASET, "write", "deny"))
    assert one.allows(DATASET, "read")
    assert not one.allows(DATASET, "write")
    assert one.allows("las:dataset:2", "write")
    assert not permissions(("las:*", "*", "deny"), (DATASET, "read", "allow")).allows(DATASET, "read")


def test_permissions_of_roles_add_up_and_one_denial_is_enough() -> None:
    reader = msgspec.json.encode(_named((("*", "read", "allow"),))).decode()
    writer = msgspec.json.encode(_named(((DATASET, "write", "allow"),))).decode()
    denier = msgspec.json.encode(_named(((DATASET, "read", "deny"),))).decode()
    both = permissions_of([reader, writer])
    assert both.allows(DATASET, "read")
    assert both.allows(DATASET, "write")
    assert not permissions_of([reader, writer, denier]).allows(DATASET, "read")


def test_no_roles_allow_everything_and_only_deleted_roles_nothing() -> None:
    assert permissions_of(None) is EVERYTHING
    assert EVERYTHING.allows(DATASET, "delegate")
    assert not permissions_of([]).allows(DATASET, "read")


def test_permissions_are_compiled_once_per_text() -> None:
    text = '[{"resourceId": "las:dataset:*", "action": "read", "effect": "allow"}]'
    changed = text.replace("dataset", "document")
    assert permissions_of([text]) is permissions_of([text])
    assert permissions_of([text]).allows(DATASET, "read")
    assert not permissions_of([changed]).allows(DATASET, "read")


def test_unreadable_role_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError):
        permissions_of(['[{"resourceId": "*", "action": "everything", "effect": "allow"}]'])


@pytest.mark.parametrize(
    ("denied", "some", "every"),
    [
        ("las:dataset:1", True, False),
        ("las:data*", True, False),
        ("*:1", True, False),
        ("las:dataset", False, True),
        ("las:dataset-transformation:1", False, True),
        ("las:document:*", False, True),
    ],
)
def test_what_may_be_denied_of_a_kind(denied: str, some: bool, every: bool) -> None:
    one = permissions(("*", "*", "allow"), (denied, "read", "deny"))
    assert (one.denies_some("dataset", "read"), one.allows_all("dataset", "read")) == (some, every)
    assert (one.denies_some("dataset", "write"), one.allows_all("dataset", "write")) == (False, True)


@pytest.mark.parametrize(
    ("allowed", "every"),
    [("*", True), ("las:*", True), ("las:dataset:*", True), (DATASET, False), ("las:d*", False)],
)
def test_only_a_wildcard_for_the_kind_allows_all(allowed: str, every: bool) -> None:
    assert permissions((allowed, "read", "allow")).allows_all("dataset", "read") is every


def test_a_denial_is_told_from_what_is_not_allowed() -> None:
    one = permissions((DATASET, "read", "deny"))
    assert one.denies(DATASET, "read")
    assert not one.denies("las:dataset:2", "read")


def test_kinds_that_do_not_exist_take_no_memory() -> None:
    """Whoever has a role with a limit can name any kind, in a query for example."""
    limited = PermissionSet([Permission("las:dataset:*", "read", "allow")])
    for index in range(10 * CACHED_KINDS):
        assert not limited.allows_all(f"kind-{index}", "read")
    assert len(limited._of_kinds) == CACHED_KINDS
    assert limited.allows_all("dataset", "read")
