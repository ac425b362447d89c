"""The roles of every installation.

They contain no denials, so that the permissions of several roles add up. A denial in a role of the operator
overrides them.
"""

from __future__ import annotations

from typing import NamedTuple

from pagemill.ids import RoleId

ADMIN = RoleId("las:role:admin")
MEMBER = RoleId("las:role:member")
VALIDATOR = RoleId("las:role:validator")

MEMBER_WRITES = (
    "asset",
    "dataset",
    "dataset-transformation",
    "document",
    "log",
    "model",
    "model-data-bundle",
    "model-training",
    "prediction",
    "secret",
    "transition",
    "transition-execution",
    "workflow",
    "workflow-execution",
)
"""Kinds that a member may write; all others are administration."""

MEMBER_READS = (
    *MEMBER_WRITES,
    "app-client",
    "deployment-environment",
    "organization",
    "payment-method",
    "plan",
    "role",
    "user",
    "webhook",
)
"""Kinds that a member may read: all but what others have done."""

VALIDATOR_READS = (
    "asset",
    "dataset",
    "document",
    "log",
    "model",
    "organization",
    "prediction",
    "role",
    "transition",
    "transition-execution",
    "user",
    "workflow",
    "workflow-execution",
)
"""Kinds that a validator may read: neither credentials nor payments."""


class SeededRole(NamedTuple):
    """A role, as it is stored."""

    name: str
    description: str
    permissions: list[dict[str, str]]


def _allow(resource_id: str, action: str) -> dict[str, str]:
    return {"resourceId": resource_id, "action": action, "effect": "allow"}


_OWN_PROFILE = [_allow("las:profile:*", "read"), _allow("las:profile:*", "write")]
"""The handlers refuse to change another person's profile."""

ROLES: dict[RoleId, SeededRole] = {
    ADMIN: SeededRole("Admin", "Everything, including users, plans and roles", [_allow("*", "*")]),
    MEMBER: SeededRole(
        "Member",
        "Builds models and workflows, does not administer the organization",
        [
            *(_allow(f"las:{kind}:*", "read") for kind in MEMBER_READS),
            *_OWN_PROFILE,
            *(_allow(f"las:{kind}:*", "write") for kind in MEMBER_WRITES),
        ],
    ),
    VALIDATOR: SeededRole(
        "Validator",
        "Reviews, corrects and approves",
        [
            *(_allow(f"las:{kind}:*", "read") for kind in VALIDATOR_READS),
            *_OWN_PROFILE,
            _allow("las:transition-execution:*", "write"),
        ],
    ),
}
