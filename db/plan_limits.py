"""SQL expressions of what a plan allows. A plan limits pages or fields, never both.

``pagemill.usage.limits`` has the same rules for Python.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

UNLIMITED = 2_000_000_000
"""The limit of a meter that the plan does not name; the API shows it."""

LimitedBy: TypeAlias = Literal["pages", "fields"]
"""The meter of predictions that a plan limits."""

LIMITED_BY = "coalesce(plan.limited_by, 'pages')"
"""The meter, pages or fields, that the plan of the table ``plan`` limits; pages without a plan."""


def allowed_by_plan(meter: str) -> str:
    """Return what the plan of the table ``plan`` allows of a meter, both SQL expressions.

    It is Infinity for pages or fields, whichever the plan does not limit, and ``UNLIMITED`` without a plan.
    """
    return f"""
        CASE
            WHEN {meter} IN ('pages', 'fields') AND plan.limited_by <> {meter} THEN 'Infinity'::numeric
            ELSE coalesce((plan.allowed ->> {meter})::numeric, {UNLIMITED})
        END
    """


RESERVED_BY = f"CASE WHEN {allowed_by_plan(LIMITED_BY)} < {UNLIMITED} THEN {LIMITED_BY} END"
"""The meter, pages or fields, that the plan of the table ``plan`` limits; null where it allows any number."""
