"""Error messages of msgspec with the name of the wrong member in front."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from pagemill.errors import BadRequest

Converted = TypeVar("Converted")

_PLACE = re.compile(r"^(?P<message>.*) - at `\$\.?(?P<place>.*)`$", re.DOTALL)


def convert_member(value: Any, schema: type[Converted], member: str) -> Converted:
    """Convert a member to its schema's type. Raises BadRequest naming the wrong part."""
    try:
        return msgspec.convert(value, type=schema)
    except msgspec.ValidationError as error:
        raise BadRequest(name_member(str(error), member)) from None


def name_member(text: str, member: str = "") -> str:
    """Return a message of msgspec with its path in front: ``groundTruth[0].label: Expected `str```."""
    match = _PLACE.match(text)
    if match is None:
        return f"{member or 'body'}: {text}"
    place = match["place"]
    separator = "." if member and place and not place.startswith("[") else ""
    where = f"{member}{separator}{place}" or "body"
    return f"{where}: {match['message']}"
