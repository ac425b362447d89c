"""Times that clients send: any form of ISO 8601, with any offset."""

from __future__ import annotations

import datetime
import re

from pagemill.errors import BadRequest

MAX_LENGTH = 64

# The API also allows, beside ISO 8601, a time without a separator after the date.
_UNSEPARATED = re.compile(r"([0-9]{4}-?[0-9]{2}-?[0-9]{2})([0-9]{2}:?[0-9]{2}:?[0-9]{2}.*)")
# A plus sign that is not encoded in a query arrives as a space.
_PLUS_LOST = re.compile(r"(.*[0-9]{2}:?[0-9]{2}:?[0-9]{2}(?:\.[0-9]+)?) ([0-9]{2}(?::?[0-9]{2})?)")


def parse_time(text: str, member: str) -> datetime.datetime:
    """Return the time in UTC; without an offset it is in UTC. Raises BadRequest naming ``member``."""
    if len(text) <= MAX_LENGTH:
        for form in _forms(text.strip()):
            try:
                time = datetime.datetime.fromisoformat(form)
                return time.replace(tzinfo=time.tzinfo or datetime.UTC).astimezone(datetime.UTC)
            except (ValueError, OverflowError):
                continue
    raise BadRequest(f"{member}: is not a time like 2021-08-16T12:53:13.374930+0000")


def _forms(text: str) -> list[str]:
    forms = [text]
    if match := _PLUS_LOST.fullmatch(text):
        forms.append(f"{match[1]}+{match[2]}")
    if match := _UNSEPARATED.fullmatch(text):
        forms.append(f"{match[1]}T{match[2]}")
    return forms
