"""Errors of msgspec name the member that is wrong."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from pagemill.errors import BadRequest

T = TypeVar("T")

_PLACE = re.compile(r"^(?P<message>.*) - at `\$\.?(?P<place>.*)`$", re.DOTALL)


def convert_member(value: Any, schema: type[T], member: str) -> T:
    """A member as what its schema makes of it. Raises BadRequest naming what is wrong in it."""
    try:
        return msgspec.convert(value, type=schema)
    except msgspec.ValidationError as error:
        raise BadRequest(name_member(str(error), member)) from None


def name_member(text: str, member: str = "") -> str:
    """A message of msgspec with the place in front: ``groundTruth[0].label: Expected `str`, got `int```."""
    match = _PLACE.match(text)
    if match is None:
        return f"{member or 'body'}: {text}"
    place = match["place"]
    separator = "." if member and place and not place.startswith("[") else ""
    where = f"{member}{separator}{place}" or "body"
    return f"{where}: {match['message']}"
