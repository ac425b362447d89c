"""The roles that every installation has.

They only allow: what several roles of one principal allow adds up. A deny in an operator's own role goes
before all that is allowed.
"""

from __future__ import annotations

from typing import NamedTuple

from pagemill.ids import RoleId

ADMIN = RoleId("las:role:admin")
MEMBER = RoleId("las:role:member")
VALIDATOR = RoleId("las:role:validator")

BUILT = (
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
"""What members build with; the rest is administration."""

REVIEWED = (
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
"""What a review shows: neither credentials nor what is paid for."""


class SeededRole(NamedTuple):
    name: str
    description: str
    permissions: list[dict[str, str]]


def _allow(resource_id: str, action: str) -> dict[str, str]:
    return {"resourceId": resource_id, "action": action, "effect": "allow"}


_OWN_PROFILE = [_allow("las:profile:*", "read"), _allow("las:profile:*", "write")]
"""Nobody changes any but the own one."""

ROLES: dict[RoleId, SeededRole] = {
    ADMIN: SeededRole("Admin", "Everything, including users, plans and roles", [_allow("*", "*")]),
    MEMBER: SeededRole(
        "Member",
        "Builds models and workflows, does not administer the organization",
        [
            _allow("*", "read"),
            *_OWN_PROFILE,
            *(_allow(f"las:{kind}:*", "write") for kind in BUILT),
        ],
    ),
    VALIDATOR: SeededRole(
        "Validator",
        "Reviews, corrects and approves",
        [
            *(_allow(f"las:{kind}:*", "read") for kind in REVIEWED),
            *_OWN_PROFILE,
            _allow("las:transition-execution:*", "write"),
        ],
    ),
}
