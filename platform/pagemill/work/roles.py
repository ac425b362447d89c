"""Roles of dispatchers, and the names of their kinds, for those who run none of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pagemill.jobs.job import KindName


class Role(StrEnum):
    """Role of a dispatcher: which kinds of jobs it runs."""

    INTERACTIVE = "interactive"
    """Somebody waits for these."""
    LONG = "long"
    """These take minutes or hours, on other nodes."""
    HOUSEKEEPING = "housekeeping"
    """Nobody waits for these; only their dispatcher has the keys for webhooks and mail."""


NAMES_OF_ROLE: Mapping[Role, tuple[KindName, ...]] = {
    Role.INTERACTIVE: (KindName("prediction"), KindName("transformation")),
    Role.LONG: (KindName("data-bundle"), KindName("training")),
    Role.HOUSEKEEPING: (
        KindName("retention"),
        KindName("object-sweep"),
        KindName("month-statement"),
        KindName("mail"),
        KindName("webhook"),
        KindName("limit-warnings"),
    ),
}
