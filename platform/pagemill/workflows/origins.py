"""Expressions of the senders whose mail starts a workflow.

They are strangers' expressions on strangers' text, so RE2 runs them: in time that grows with the text only.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import re2

from pagemill.errors import BadRequest

COMPILED_BYTES = 64 * 1024
"""Memory of one compiled expression: `(x{100}){100}` needs more."""
COMPILED_KEPT = 1024
MOST_CHARACTERS = 8192
"""Of all expressions of one list. RE2 needs at most some 20 us for each, and holds the GIL meanwhile."""
MOST_CLASSES = 64
r"""Of Unicode (`\pL`) in one list: in capitals or not, RE2 needs up to a millisecond for each."""

_UNICODE_CLASS = re.compile(r"\\[pP]")


def check_origins(origins: Sequence[str], member: str) -> None:
    """Check that each expression can be used. Raises BadRequest naming the one that cannot.

    All together take some tens of milliseconds at most: call it beside the event loop.
    """
    if sum(map(len, origins)) > MOST_CHARACTERS:
        raise BadRequest(f"{member}: must not have more than {MOST_CHARACTERS} characters in all")
    if sum(len(_UNICODE_CLASS.findall(origin)) for origin in origins) > MOST_CLASSES:
        raise BadRequest(f"{member}: must not have more than {MOST_CLASSES} Unicode classes in all")
    for position, origin in enumerate(origins):
        try:
            _compiled(origin)
        except re2.error as error:
            reason = error.args[0] if error.args else ""
            reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
            raise BadRequest(
                f"{member}[{position}]: is not a regular expression that RE2 understands: {reason}"
            ) from None


def is_allowed(origin: str, allowed: Sequence[str] | None) -> bool:
    """Return whether one of the expressions matches the whole address, in capitals or not.

    None, or no expressions at all, allow every address. One that cannot be compiled matches nothing.
    """
    return not allowed or any(_matches(expression, origin) for expression in allowed)


def _matches(expression: str, origin: str) -> bool:
    try:
        return _compiled(expression).fullmatch(origin) is not None
    except re2.error:
        return False


@functools.lru_cache(maxsize=COMPILED_KEPT)
def _compiled(expression: str) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = COMPILED_BYTES
    return re2.compile(expression, options)
