"""Bodies are read strictly: what the schema calls a number is a number, and errors name the member."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from litestar import Request

from pagemill.errors import BadRequest

T = TypeVar("T")

_PLACE = re.compile(r"^(?P<message>.*) - at `\$\.?(?P<place>.*)`$", re.DOTALL)


class JsonRequest(Request[Any, Any, Any]):
    """Litestar converts bodies leniently ("5" is taken for 5); this one decodes into the handler's schema."""

    async def json(self) -> Any:
        """The body as what the handler takes. Raises BadRequest naming the member that is wrong."""
        field = self.route_handler.parsed_data_field
        return decode_body(await self.body(), Any if field is None else field.annotation)


def decode_body(body: bytes, schema: Any) -> Any:
    """The body as ``schema``. Raises BadRequest naming the member that is wrong."""
    try:
        return msgspec.json.decode(body, type=schema)
    except msgspec.ValidationError as error:
        raise BadRequest(name_member(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"body: is not JSON ({error})") from None
    except RecursionError:
        raise BadRequest("body: is nested too deeply") from None


def convert_member(value: Any, schema: type[T], member: str) -> T:
    """A member whose schema depends on another one. Raises BadRequest naming what is wrong in it."""
    try:
        return msgspec.convert(value, type=schema)
    except msgspec.ValidationError as error:
        match = _PLACE.match(str(error))
        if match is None:
            raise BadRequest(f"{member}: {error}") from None
        place = match["place"]
        separator = "" if place.startswith("[") or not place else "."
        raise BadRequest(f"{member}{separator}{place}: {match['message']}") from None


def name_member(text: str) -> str:
    """A message of msgspec with the place in front: ``groundTruth[0].label: Expected `str`, got `int```."""
    match = _PLACE.match(text)
    if match is None:
        return f"body: {text}"
    return f"{match['place'] or 'body'}: {match['message']}"
