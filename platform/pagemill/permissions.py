"""Permissions of roles, and decisions from them: pure functions."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias, get_args

import msgspec

Action: TypeAlias = Literal["read", "write", "delegate"]
Effect: TypeAlias = Literal["allow", "deny"]

CACHED_SETS = 256
CACHED_KINDS = 256
"""Answers about kinds that a set keeps. Callers can name kinds that do not exist."""
_WILDCARD = re.compile(r"[*?\[]")


class Permission(msgspec.Struct, frozen=True, rename="camel"):
    """A permission; ``resource_id`` is a glob over ids: ``*``, ``las:document:*``, ``las:role:validator``."""

    resource_id: str
    action: Action | Literal["*"]
    effect: Effect


def _pattern(permissions: list[Permission], action: Action, effect: Effect) -> re.Pattern[str] | None:
    globs = set(_globs(permissions, action, effect))
    if not globs:
        return None
    return re.compile("|".join(fnmatch.translate(glob) for glob in sorted(globs)))


def _globs(permissions: list[Permission], action: Action, effect: Effect) -> list[str]:
    return [one.resource_id for one in permissions if one.effect == effect and one.action in (action, "*")]


class PermissionSet:
    """All permissions of a principal. An action is allowed when one allows it and none denies it."""

    def __init__(self, permissions: Iterable[Permission]) -> None:
        self._permissions = permissions = list(permissions)
        self._allowed = {action: _pattern(permissions, action, "allow") for action in get_args(Action)}
        self._denied = {action: _pattern(permissions, action, "deny") for action in get_args(Action)}
        self._of_kinds: dict[tuple[str, Action], bool] = {}

    def allows(self, resource_id: str, action: Action) -> bool:
        """Return whether an action on a resource is allowed; ``las:<kind>:*`` means all of a kind."""
        allowed = self._allowed[action]
        return (
            allowed is not None and bool(allowed.match(resource_id)) and not self.denies(resource_id, action)
        )

    def denies(self, resource_id: str, action: Action) -> bool:
        """Return whether an action on a resource is denied, whatever is allowed."""
        denied = self._denied[action]
        return denied is not None and bool(denied.match(resource_id))

    def allows_all(self, kind: str, action: Action) -> bool:
        """Return whether an action on every resource of a kind is allowed: none has to be looked at."""
        known = self._of_kinds.get((kind, action))
        if known is None:
            everything = {"*", "las:*", f"las:{kind}:*"}
            allowed = any(glob in everything for glob in _globs(self._permissions, action, "allow"))
            known = allowed and not self.denies_some(kind, action)
            if len(self._of_kinds) < CACHED_KINDS:
                self._of_kinds[kind, action] = known
        return known

    def denies_some(self, kind: str, action: Action) -> bool:
        """Return whether an action on some resource of a kind is denied, whether or not it exists."""
        return any(_can_match(glob, f"las:{kind}:") for glob in _globs(self._permissions, action, "deny"))


def _can_match(glob: str, prefix: str) -> bool:
    """Return whether a glob can match a text with a prefix. What stands after a wildcard is not looked at."""
    literal = _WILDCARD.split(glob, maxsplit=1)[0]
    if literal == glob:
        return glob.startswith(prefix)
    return literal.startswith(prefix) or prefix.startswith(literal)


EVERYTHING = PermissionSet([Permission("*", "*", "allow")])
"""Permissions of a principal without roles, within its organization."""


def permissions_of(roles: Sequence[str] | None) -> PermissionSet:
    """Return the permissions of roles, each given as JSON; None means a principal without roles.

    Compiled sets are cached by that JSON, so a changed role is another set.
    """
    return EVERYTHING if roles is None else _compiled(tuple(roles))


@functools.lru_cache(maxsize=CACHED_SETS)
def _compiled(roles: tuple[str, ...]) -> PermissionSet:
    return PermissionSet(
        permission for role in roles for permission in msgspec.json.decode(role, type=list[Permission])
    )
