"""Roles of dispatchers, and the names of their kinds, for those who run none of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pagemill.jobs.job import KindName
from pagemill.settings import Settings


class Role(StrEnum):
    """Role of a dispatcher: which kinds of jobs it runs."""

    INTERACTIVE = "interactive"
    """Somebody waits for these."""
    LONG = "long"
    """These take minutes or hours, on other nodes."""
    HOUSEKEEPING = "housekeeping"
    """Nobody waits for these; only their dispatcher has the keys for webhooks and mail."""
    WORKFLOWS = "workflows"
    """Steps of workflows; their dispatcher has the keys for the secrets that steps are given."""


NAMES_OF_ROLE: Mapping[Role, tuple[KindName, ...]] = {
    Role.INTERACTIVE: (KindName("prediction"), KindName("transformation")),
    Role.LONG: (KindName("data-bundle"), KindName("training")),
    Role.HOUSEKEEPING: (
        KindName("retention"),
        KindName("erasure"),
        KindName("object-sweep"),
        KindName("month-statement"),
        KindName("mail"),
        KindName("webhook"),
        KindName("limit-warnings"),
        KindName("audit-retention"),
    ),
    Role.WORKFLOWS: (
        KindName("function"),
        KindName("container"),
        KindName("completed-task"),
        KindName("workflow-timer"),
    ),
}


def dispatched_roles(settings: Settings) -> Mapping[Role, tuple[Role, ...]]:
    """Return the roles that have dispatchers of their own, each with all roles whose jobs these run."""
    if settings.workflows_dispatcher:
        return {role: (role,) for role in Role}
    return {
        Role.INTERACTIVE: (Role.INTERACTIVE,),
        Role.LONG: (Role.LONG,),
        Role.HOUSEKEEPING: (Role.HOUSEKEEPING, Role.WORKFLOWS),
    }


def roles_run_by(role: Role, settings: Settings) -> tuple[Role, ...]:
    """Return the roles whose jobs a dispatcher runs; one that these settings do not declare runs its own."""
    return dispatched_roles(settings).get(role, (role,))
