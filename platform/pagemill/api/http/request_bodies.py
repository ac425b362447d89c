"""Request bodies: JSON, bounded before it is parsed, decoded strictly into the schema of the handler."""

from __future__ import annotations

import itertools
import re
from typing import Any, Final

import msgspec

from pagemill.api.auth.named_resources import ids_in_body, require_readable
from pagemill.api.http.requests import ApiRequest
from pagemill.errors import BadRequest, UnsupportedMediaType
from pagemill.storable_text import RULE, has_nul
from pagemill.validation import name_member

JSON = "application/json"

BODY_BYTES: Final = 512_000
"""Longest body of a route that does not say another bound."""
LABELS_BODY_BYTES: Final = 2_500_000
"""With the ground truth of a document, of at most 50,000 values, or with a field configuration of 1 MiB."""
CONTENT_BODY_BYTES: Final = 10_000_000
"""With inline content of 6,250,000 characters, and its labels. Files have a route of their own."""
MAX_DEPTH: Final = 100
"""Deepest nesting of objects and lists. Deeper ones could be decoded, but not be encoded everywhere."""
TOO_DEEP = "body: is nested too deeply"
MOST_VALUES: Final = 100_000
"""Members and items in one body: 25,000 values of ground truth with their label, page and confidence."""
TOO_WIDE = f"body: has more than {MOST_VALUES} members and items"

_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
# Brackets become signed bytes, by which they change the depth; all other bytes are left out.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_STEPS = bytes(set(range(256)) - set(b"[]{}"))


class JsonRequest(ApiRequest):
    """A request whose body is decoded into the handler's schema.

    Litestar would convert it leniently: "5" would be taken for 5.
    """

    async def json(self) -> Any:
        """Return the body as the handler's ``data``.

        Raises BadRequest naming the wrong member, and Forbidden for an id that the caller may not name.
        """
        field = self.route_handler.parsed_data_field
        data = decode_body(await self.body(), Any if field is None else field.annotation)
        permissions = self.scope["state"].get("permissions")
        if permissions is not None:
            require_readable(permissions, ids_in_body(data))
        return data


def decode_body(body: bytes, schema: Any) -> Any:
    """Decode a body into ``schema``. Raises BadRequest naming the wrong member."""
    if is_too_wide(body):
        raise BadRequest(TOO_WIDE)
    if is_too_deep(body):
        raise BadRequest(TOO_DEEP)
    if has_nul(body):
        raise BadRequest(f"body: {RULE}")
    try:
        return msgspec.json.decode(body, type=schema)
    except msgspec.ValidationError as error:
        raise BadRequest(name_member(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"body: is not JSON ({error})") from None
    except RecursionError:
        raise BadRequest(TOO_DEEP) from None


def is_too_wide(body: bytes) -> bool:
    """Return whether JSON has more than ``MOST_VALUES`` commas and opening brackets, also in texts."""
    return len(body) > MOST_VALUES and body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_VALUES


def is_too_deep(body: bytes) -> bool:
    """Return whether JSON is nested deeper than ``MAX_DEPTH``."""
    # Few bodies have so many brackets that their depth has to be computed.
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    steps = memoryview(_TEXT.sub(b"", body).translate(_STEPS, _NO_STEPS)).cast("b")
    return max(itertools.accumulate(steps), default=0) > MAX_DEPTH


def require_json(request: ApiRequest) -> None:
    """Refuse a POST or PATCH whose body is not declared as JSON. Raises UnsupportedMediaType."""
    if request.method not in ("POST", "PATCH") or request.route_handler.opt.get("public"):
        return
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise UnsupportedMediaType(f"Content-Type must be {JSON}")
