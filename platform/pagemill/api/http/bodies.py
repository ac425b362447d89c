"""Bodies are read strictly: what the schema calls a number is a number, and errors name the member."""

from __future__ import annotations

import itertools
import re
from typing import Any

import msgspec
from litestar import Request

from pagemill.errors import BadRequest
from pagemill.members import name_member

DEEPEST = 100
"""How deep objects and lists may be nested: what is taken in can be written at every depth of the stack."""
TOO_DEEP = "body: is nested too deeply"

_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
# Each bracket as a signed byte, how it changes the depth, and all else left out.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_STEPS = bytes(set(range(256)) - set(b"[]{}"))


class JsonRequest(Request[Any, Any, Any]):
    """Litestar converts bodies leniently ("5" is taken for 5); this one decodes into the handler's schema."""

    async def json(self) -> Any:
        """The body as what the handler takes. Raises BadRequest naming the member that is wrong."""
        field = self.route_handler.parsed_data_field
        return decode_body(await self.body(), Any if field is None else field.annotation)


def decode_body(body: bytes, schema: Any) -> Any:
    """The body as ``schema``. Raises BadRequest naming the member that is wrong."""
    try:
        decoded = msgspec.json.decode(body, type=schema)
    except msgspec.ValidationError as error:
        raise BadRequest(name_member(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"body: is not JSON ({error})") from None
    except RecursionError:
        raise BadRequest(TOO_DEEP) from None
    if is_too_deep(body):
        raise BadRequest(TOO_DEEP)
    return decoded


def is_too_deep(body: bytes) -> bool:
    """Whether JSON is nested deeper than ``DEEPEST``."""
    # Few bodies have so many brackets that it takes a look.
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return False
    steps = memoryview(_TEXT.sub(b"", body).translate(_STEPS, _NO_STEPS)).cast("b")
    return max(itertools.accumulate(steps), default=0) > DEEPEST
