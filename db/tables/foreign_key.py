"""Foreign keys of the tables."""

from __future__ import annotations

from piccolo.columns import ForeignKey, OnDelete, OnUpdate
from piccolo.table import Table


def foreign_key(
    table: type[Table],
    *,
    null: bool = False,
    on_delete: OnDelete = OnDelete.no_action,
    primary_key: bool = False,
    help_text: str | None = None,
) -> ForeignKey[Table]:
    """Return a column with the id of a row of ``table``."""
    return ForeignKey(
        table,
        default=None if null else "",
        null=null,
        on_delete=on_delete,
        on_update=OnUpdate.no_action,
        primary_key=primary_key,
        help_text=help_text,
    )
