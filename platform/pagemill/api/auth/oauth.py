"""Access tokens for app clients and containers: ``/token`` and ``/oauth2/token``."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, unquote_plus

import msgspec
from litestar import post
from msgspec import UNSET, UnsetType

from db.app_clients import find_app_client
from db.containers import find_container_credential
from db.statements import Connection
from pagemill.api.auth.scopes import read_scopes
from pagemill.api.auth.tokens import Caller, issue_token
from pagemill.api.http.app_state import AppState
from pagemill.api.http.client_address import client_address
from pagemill.api.http.requests import ApiRequest
from pagemill.client_credentials import hash_secret
from pagemill.errors import BadRequest
from pagemill.ids import OrganizationId, PrincipalId
from pagemill.storable_text import RULE, is_storable, is_storable_query

LONGEST_FORM = 8192
MOST_PARAMETERS = 20
BASIC = "basic "


class TokenRequest(msgspec.Struct, kw_only=True):
    """Form of a token request, for the API document: the handler reads the query as well."""

    grant_type: Literal["client_credentials"]
    client_id: str | UnsetType = UNSET
    client_secret: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET


class Token(msgspec.Struct, kw_only=True):
    """OAuth 2 access token; ``expires_in`` is in seconds, ``scope`` only there when the request had one."""

    access_token: str
    expires_in: int
    scope: str | UnsetType = UNSET
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - no password but the scheme's name


@post(
    ["/token", "/oauth2/token"],
    status_code=200,
    public=True,
    form=TokenRequest,
    tags=["Authentication"],
    request_max_body_size=LONGEST_FORM,
)
async def create_token(request: ApiRequest, app_state: AppState) -> Token:
    """Get an access token for an app client.

    Send the client id and the client secret of the app client by HTTP Basic, or as ``client_id`` and
    ``client_secret``, together with ``grant_type=client_credentials``. Form and query are both read. Send the
    ``access_token`` of the answer in the header ``Authorization: Bearer <token>`` of all other requests, and
    get a new one when it expires, after ``expires_in`` seconds.

    With ``scope`` the token may do less than its app client. Wrong credentials are answered with status 400
    and the message ``invalid_client``, an unknown scope with ``invalid_scope``. Who asks for tokens again and
    again is answered with status 429 and ``Too Many Requests``. ``/token`` and ``/oauth2/token`` are the same
    operation.
    """
    parameters = await _parameters(request)
    if parameters.get("grant_type") != "client_credentials":
        raise BadRequest("grant_type: must be client_credentials")
    scopes = read_scopes(parameters.get("scope"))
    client_id, secret = _credentials(request, parameters)
    app_state.token_throttle.admit(client_address(request.scope, app_state.trusted_proxies), client_id)
    async with app_state.connection() as connection:
        owner = await _owner(connection, client_id)
    given = hash_secret(secret)
    if owner is None or not hmac.compare_digest(given, owner.secret_hash):
        raise BadRequest("invalid_client")
    caller = Caller(owner.organization_id, owner.principal_id, scopes)
    return Token(
        access_token=issue_token(caller, app_state.settings),
        expires_in=app_state.settings.token_lifetime,
        scope=UNSET if scopes is None else " ".join(sorted(scopes)),
    )


class _Owner(NamedTuple):
    organization_id: OrganizationId
    principal_id: PrincipalId
    secret_hash: str


async def _owner(connection: Connection, client_id: str) -> _Owner | None:
    """Return the app client with these credentials, or the execution whose container has them."""
    app_client = await find_app_client(connection, client_id=client_id)
    if app_client is not None and app_client.secret_hash is not None:
        return _Owner(app_client.organization_id, PrincipalId(app_client.id), app_client.secret_hash)
    container = await find_container_credential(connection, client_id=client_id)
    if container is None:
        return None
    return _Owner(container.organization_id, PrincipalId(container.subject_id), container.secret_hash)


async def _parameters(request: ApiRequest) -> Mapping[str, str]:
    """Return the parameters of the query and the form; the form wins. Raises BadRequest."""
    body = await request.body()
    if not is_storable_query(body):
        raise BadRequest(f"form: {RULE}")
    try:
        form = parse_qsl(body.decode(), max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise BadRequest("the form cannot be read") from None
    return {name: str(value) for name, value in request.query_params.items()} | dict(form)


def _credentials(request: ApiRequest, parameters: Mapping[str, str]) -> tuple[str, str]:
    """Return client id and client secret, of HTTP Basic if there is any. Raises BadRequest."""
    header = request.headers.get("authorization", "")
    if header[: len(BASIC)].lower() != BASIC:
        return parameters.get("client_id", ""), parameters.get("client_secret", "")
    try:
        text = base64.b64decode(header[len(BASIC) :], validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadRequest("invalid_client") from None
    client_id, _, secret = map(unquote_plus, text.partition(":"))
    if not is_storable(client_id):
        raise BadRequest(f"Authorization: {RULE}")
    return client_id, secret
