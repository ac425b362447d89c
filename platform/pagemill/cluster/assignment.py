"""The assignment of one dispatcher: its role, its share of the slots, and the keys that it may have."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

import msgspec

from pagemill.settings import Settings
from pagemill.work.roles import Role

_NAME = re.compile(rf"^dispatcher-({'|'.join(Role)})-([0-9]+)-([0-9]+)$")


@dataclass(frozen=True, slots=True)
class DispatcherKeys:
    """Keys that only one dispatcher is given; the environment of Ray's processes does not have them."""

    secret_keys: str = field(default="", repr=False)
    smtp_password: str | None = field(default=None, repr=False)


NO_KEYS = DispatcherKeys()


@dataclass(frozen=True, slots=True)
class Share:
    """The share of one dispatcher of ``dispatchers``, counted from 0: they divide what one would run."""

    number: int = 0
    dispatchers: int = 1

    def slots(self, together: int) -> int:
        """Return how many of the slots that all have ``together`` are this one's; it may be none."""
        return together // self.dispatchers + (self.number < together % self.dispatchers)


@dataclass(frozen=True, slots=True)
class DispatcherName:
    """Name of a dispatcher's actor. Of one role, a higher generation succeeds a lower one."""

    role: Role
    generation: int
    number: int

    def __str__(self) -> str:
        return f"dispatcher-{self.role}-{self.generation}-{self.number}"

    @classmethod
    def parse(cls, name: str) -> DispatcherName | None:
        """Return the name in its parts, None when it is not a dispatcher's."""
        found = _NAME.match(name)
        return None if found is None else cls(Role(found[1]), int(found[2]), int(found[3]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Instructions of one dispatcher, given when it is started, and each time that Ray starts it again."""

    name: DispatcherName
    share: Share = Share()
    release: str = ""
    declaration: str = field(default="", repr=False)
    """Digest of all that was declared for it: where it is another one, a successor is needed."""
    keys: DispatcherKeys = NO_KEYS


def keys_of_role(role: Role, settings: Settings) -> DispatcherKeys:
    """Return the keys that a role needs."""
    match role:
        case Role.HOUSEKEEPING:
            return DispatcherKeys(secret_keys=settings.secret_keys, smtp_password=settings.smtp_password)
        case Role.WORKFLOWS:
            return DispatcherKeys(secret_keys=settings.secret_keys)
        case Role.INTERACTIVE | Role.LONG:
            return NO_KEYS


def declaration_of(role: Role, settings: Settings, release: str) -> str:
    """Return the digest of a release and of the settings as a role is given them.

    A digest tells nothing that its holder does not know: keys that the role does not have are left out.
    """
    keys = keys_of_role(role, settings)
    given = msgspec.structs.replace(
        settings, secret_keys=keys.secret_keys, smtp_password=keys.smtp_password, token_key=""
    )
    return hashlib.sha256(msgspec.json.encode((role, release, given))).hexdigest()
