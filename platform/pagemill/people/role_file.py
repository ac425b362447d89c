"""Role files: YAML, or JSON, in which an operator defines roles, with the names of the API's members.

.. code-block:: yaml

    roles:
      - roleId: las:role:reviewer
        name: Reviewer
        description: Corrects documents of one dataset's workflow
        permissions:
          - {resourceId: "las:document:*", action: read, effect: allow}
          - {resourceId: "las:transition-execution:*", action: "*", effect: allow}
          - {resourceId: "las:document:0123456789abcdef0123456789abcdef", action: "*", effect: deny}
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import yaml
from msgspec import Meta

from pagemill.errors import PagemillError
from pagemill.ids import RoleId
from pagemill.permissions import Action, Effect

LONGEST_FILE = 1_000_000
MOST_PERMISSIONS = 1000


class RoleFileError(PagemillError):
    """A role file that cannot be read, or a role that cannot be changed; the message says which."""


class PermissionDefinition(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A permission; ``resource_id`` is a glob over ids. One that begins otherwise would match nothing."""

    resource_id: Annotated[str, Meta(pattern=r"^(\*|las:[a-z*?-]+:?.*)$", max_length=512)]
    action: Action | Literal["*"]
    effect: Effect


class RoleDefinition(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A role as the operator defines it."""

    role_id: Annotated[RoleId, Meta(pattern=r"^las:role:[0-9A-Za-z-_]{1,32}$")]
    name: Annotated[str, Meta(min_length=1, max_length=4096)]
    description: Annotated[str, Meta(max_length=4096)] = ""
    permissions: Annotated[list[PermissionDefinition], Meta(min_length=1, max_length=MOST_PERMISSIONS)]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    roles: Annotated[list[RoleDefinition], Meta(min_length=1)]


def parse_roles(content: bytes) -> list[RoleDefinition]:
    """Return the roles of a file. Raises RoleFileError."""
    if len(content) > LONGEST_FILE:
        raise RoleFileError(f"the file is larger than {LONGEST_FILE} bytes")
    try:
        roles = msgspec.convert(yaml.safe_load(content), _File).roles
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise RoleFileError(" ".join(str(error).split())) from None
    ids = [role.role_id for role in roles]
    for role_id in ids:
        if ids.count(role_id) > 1:
            raise RoleFileError(f"{role_id} is defined twice")
    return roles
