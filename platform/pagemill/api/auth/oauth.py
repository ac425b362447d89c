"""The token endpoint: ``/token`` and ``/oauth2/token``, for app clients, containers and people."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote_plus

import msgspec
from litestar import post
from msgspec import UNSET, UnsetType

from db.app_clients import find_app_client
from db.authorization_codes import AuthorizationCodeRow
from db.containers import find_container_credential
from db.refresh_tokens import RefreshTokenRow
from db.statements import Connection
from pagemill.api.auth.authorization_server import (
    Client,
    Facts,
    ProtocolAnswer,
    ProtocolRequest,
    ProtocolServer,
)
from pagemill.api.auth.scopes import OPENID, scopes_of_api
from pagemill.api.auth.signing_keys import SigningKey
from pagemill.api.auth.tokens import Caller, encode, sign_token
from pagemill.api.http.app_state import AppState
from pagemill.api.http.client_address import client_address
from pagemill.api.http.request_ids import request_id_of
from pagemill.api.http.requests import ApiRequest
from pagemill.audit.events import AuditEvent, record
from pagemill.errors import BadRequest, ProtocolRefused
from pagemill.ids import PrincipalId
from pagemill.people.grants import (
    CODE_REUSED,
    REFRESH_TOKEN_REUSED,
    end_grant,
    exchange_code,
    find_code,
    new_grant_id,
)
from pagemill.settings import Settings
from pagemill.storable_text import RULE, is_storable, is_storable_query

LONGEST_FORM = 8192
MOST_PARAMETERS = 20
BASIC = "basic "
CODE = "authorization_code"
REFRESH = "refresh_token"


class TokenRequest(msgspec.Struct, kw_only=True):
    """Form of a token request, for the API document: the handler reads the query as well."""

    grant_type: Literal["client_credentials", "authorization_code", "refresh_token"]
    client_id: str | UnsetType = UNSET
    client_secret: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    redirect_uri: str | UnsetType = UNSET
    code_verifier: str | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET


class Token(msgspec.Struct, kw_only=True):
    """OAuth 2 access token; ``expires_in`` is in seconds, ``scope`` only there when the request had one.

    ``refresh_token`` is there for users, ``id_token`` when the scope ``openid`` was asked for.
    """

    access_token: str
    expires_in: int
    scope: str | UnsetType = UNSET
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - no password but the scheme's name
    refresh_token: str | UnsetType = UNSET
    id_token: str | UnsetType = UNSET


@post(
    ["/token", "/oauth2/token"],
    status_code=200,
    public=True,
    form=TokenRequest,
    tags=["Authentication"],
    request_max_body_size=LONGEST_FORM,
)
async def create_token(request: ApiRequest, app_state: AppState) -> Token:
    """Get an access token for an app client or a user who has signed in.

    An app client sends its client id and client secret by HTTP Basic, or as `client_id` and
    `client_secret`, together with `grant_type=client_credentials`. An app through which a user has signed
    in sends `grant_type=authorization_code` with `client_id`, `code`, `redirect_uri` and the
    `code_verifier` of PKCE, and later `grant_type=refresh_token` with `client_id` and `refresh_token`. Form
    and query are both read. Send the `access_token` of the answer in the header
    `Authorization: Bearer <token>` of all other requests, and get a new one when it expires, after
    `expires_in` seconds.

    Each answer to a refresh token has the one to use next. When a former one is sent after that, both and
    their access tokens stop working, and the user has to sign in again.

    With `scope` the token may do less than its app client or user. Errors have the status 400 and OAuth's
    word for them as `error` and `message`: `invalid_client` for wrong credentials, `invalid_scope` for an
    unknown scope, `invalid_grant` for a code or refresh token that does not work. Who asks for tokens again
    and again is answered with status 429 and `Too Many Requests`. `/token` and `/oauth2/token` are the same
    operation.
    """
    parameters = await _parameters(request)
    address = client_address(request.scope, app_state.trusted_proxies)
    app_state.token_throttle.admit(address, parameters.get("client_id", ""))
    signing = await app_state.tokens.keys.signing_key()
    async with app_state.connection() as connection, connection.transaction():
        facts = await _look_up(app_state, connection, parameters)
        maker = _TokenMaker(app_state.settings, signing)
        server = ProtocolServer(facts, maker.make)
        answer: ProtocolAnswer = server.create_token_response(
            ProtocolRequest("POST", {name: [value] for name, value in parameters.items()})
        )
        origin = AuditEvent(action="createToken", address=address, request_id=request_id_of(request))
        refresh_token = await _carry_out(app_state, connection, parameters, facts, maker, answer, origin)
    if answer.status != 200:
        _count_refusal(app_state, facts, origin)
        raise _refused(answer)
    return msgspec.convert(
        answer.body if refresh_token is None else {**answer.body, "refresh_token": refresh_token}, Token
    )


class _TokenMaker:
    """Maker of the token that an answer has; a code becomes a grant of this maker's id."""

    def __init__(self, settings: Settings, signing: SigningKey) -> None:
        self._settings, self._signing = settings, signing
        self.grant_id = new_grant_id()

    def make(
        self,
        *,
        grant_type: str,
        client: Client,
        user: AuthorizationCodeRow | RefreshTokenRow | None = None,
        scope: str | None = None,
        **_others: object,
    ) -> dict[str, Any]:
        """Return the members of a token; Authlib has checked that it may be issued."""
        scopes = scopes_of_api(scope)
        if user is None:
            caller = Caller(client.organization_id, client.principal_id, scopes, epoch=client.epoch)
        else:
            principal_id = PrincipalId(user.user_id)
            caller = Caller(user.organization_id, principal_id, scopes, user.grant_id or self.grant_id)
        token: dict[str, Any] = {
            "access_token": sign_token(caller, self._signing, self._settings),
            "expires_in": self._settings.token_lifetime,
        }
        names = set((scope or "").split())
        if names:
            token["scope"] = " ".join(sorted(names))
        if names & OPENID and isinstance(user, AuthorizationCodeRow):
            token["id_token"] = self._id_token(client, user)
        return token

    def _id_token(self, client: Client, code: AuthorizationCodeRow) -> str:
        """Return who has signed in, for the app client (OpenID Connect Core, 2)."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self._settings.public_url,
            "sub": code.user_id,
            "aud": client.client_id,
            "iat": now,
            "exp": now + self._settings.token_lifetime,
        }
        if code.signed_in_time is not None:
            claims["auth_time"] = int(code.signed_in_time.timestamp())
        if code.nonce is not None:
            claims["nonce"] = code.nonce
        return encode(claims, self._signing, token_type="JWT")  # noqa: S106 - a type


async def _look_up(app_state: AppState, connection: Connection, parameters: Mapping[str, str]) -> Facts:
    """Return the rows that a request names; a code and a refresh token stay locked."""
    client = await _client(connection, parameters.get("client_id", ""))
    code = refresh_token = None
    if parameters.get("grant_type") == CODE and "code" in parameters:
        code = await find_code(connection, parameters["code"])
    elif parameters.get("grant_type") == REFRESH and "refresh_token" in parameters:
        refresh_token = await app_state.refresh_tokens.find(connection, parameters["refresh_token"])
    return Facts(client, code, refresh_token)


async def _client(connection: Connection, client_id: str) -> Client | None:
    """Return the app client with this id, or the execution whose container has it."""
    app_client = await find_app_client(connection, client_id=client_id)
    if app_client is not None:
        return Client.of_app_client(app_client)
    container = await find_container_credential(connection, client_id=client_id)
    if container is None:
        return None
    return Client(
        client_id=client_id,
        organization_id=container.organization_id,
        principal_id=PrincipalId(container.subject_id),
        secret_hash=container.secret_hash,
    )


async def _carry_out(
    app_state: AppState,
    connection: Connection,
    parameters: Mapping[str, str],
    facts: Facts,
    maker: _TokenMaker,
    answer: ProtocolAnswer,
    origin: AuditEvent,
) -> str | None:
    """Write what follows from an answer, and return its refresh token if it has one.

    A code or a refresh token that somebody else has used ends the grant. The audit has who signed in to which
    app client, and which grants ended so; ``origin`` tells where the request comes from.
    """
    code, refresh_token = facts.code, facts.refresh_token
    if answer.status == 200 and code is not None:
        await record(connection, _of_user(origin, code))
        seconds = app_state.settings.refresh_token_lifetime
        return await exchange_code(connection, code, grant_id=maker.grant_id, seconds=seconds)
    if answer.status == 200 and refresh_token is not None:
        presented = parameters["refresh_token"]
        return await app_state.refresh_tokens.exchange(connection, presented, refresh_token)
    if code is not None and code.grant_id is not None:
        await end_grant(
            connection,
            organization_id=code.organization_id,
            grant_id=code.grant_id,
            reason=CODE_REUSED,
        )
        await record(connection, _of_user(origin, code, ended=CODE_REUSED))
    if refresh_token is not None and refresh_token.is_reused:
        await end_grant(
            connection,
            organization_id=refresh_token.organization_id,
            grant_id=refresh_token.grant_id,
            reason=REFRESH_TOKEN_REUSED,
        )
        await record(connection, _of_user(origin, refresh_token, ended=REFRESH_TOKEN_REUSED))
    return None


def _of_user(
    origin: AuditEvent, row: AuthorizationCodeRow | RefreshTokenRow, *, ended: str | None = None
) -> AuditEvent:
    """Return the event of a user's sign-in to an app client, or of a grant that ended by misuse."""
    event = msgspec.structs.replace(
        origin,
        organization_id=row.organization_id,
        principal_id=PrincipalId(row.user_id),
        resource_id=row.app_client_id,
    )
    if ended is None:
        return event
    return msgspec.structs.replace(event, action="endGrant", outcome="refused", details={"reason": ended})


def _count_refusal(app_state: AppState, facts: Facts, origin: AuditEvent) -> None:
    """Count a refusal of an app client that exists; strangers leave no events."""
    client = facts.client
    if client is not None:
        app_state.refusals.add(
            msgspec.structs.replace(
                origin,
                outcome="refused",
                organization_id=client.organization_id,
                principal_id=client.principal_id,
                resource_id=client.principal_id,
            ),
            of_stranger=True,
        )


def _refused(answer: ProtocolAnswer) -> ProtocolRefused:
    """Return the error of an answer. About credentials it says no more than that they are wrong."""
    error = str(answer.body.get("error", "invalid_request"))
    said = None if error == "invalid_client" else answer.body.get("error_description")
    return ProtocolRefused(error, detail=said)


async def _parameters(request: ApiRequest) -> Mapping[str, str]:
    """Return the parameters of query and form, and credentials sent by HTTP Basic as two of them.

    The form wins over the query. Raises BadRequest.
    """
    body = await request.body()
    if not is_storable_query(body):
        raise BadRequest(f"form: {RULE}")
    try:
        form = parse_qsl(body.decode(), max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise BadRequest("the form cannot be read") from None
    sent = {name: str(value) for name, value in request.query_params.items()} | dict(form)
    return sent | _basic_credentials(request)


def _basic_credentials(request: ApiRequest) -> dict[str, str]:
    """Return client id and client secret of HTTP Basic, if there is any. Raises ProtocolRefused."""
    header = request.headers.get("authorization", "")
    if header[: len(BASIC)].lower() != BASIC:
        return {}
    try:
        text = base64.b64decode(header[len(BASIC) :], validate=True).decode()
    except (binascii.Error, ValueError):
        raise ProtocolRefused("invalid_client") from None
    client_id, _, secret = map(unquote_plus, text.partition(":"))
    if not is_storable(client_id) or not is_storable(secret):
        raise BadRequest(f"Authorization: {RULE}")
    return {"client_id": client_id, "client_secret": secret}
