"""Bodies are read strictly: what the schema calls a number is a number, and errors name the member."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request

from pagemill.errors import BadRequest
from pagemill.members import name_member


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
