"""The OAuth 2 protocol, by Authlib, on rows that were read before.

Authlib decides: which client, which grant, whether code, verifier, redirect URL, scope and refresh token
belong together, and what the answer is. It is synchronous, so it gets the rows that it may ask for, and
what it decided is written afterwards, in the same transaction.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2.rfc6749 import (
    AuthorizationCodeGrant,
    AuthorizationCodeMixin,
    AuthorizationServer,
    ClientCredentialsGrant,
    ClientMixin,
    InvalidRequestError,
    OAuth2Payload,
    OAuth2Request,
    RefreshTokenGrant,
    TokenMixin,
)
from authlib.oauth2.rfc7636 import CodeChallenge, create_s256_code_challenge

from db.app_clients import AppClientCredentialsRow
from db.authorization_codes import AuthorizationCodeRow
from db.refresh_tokens import RefreshTokenRow
from pagemill.api.auth.scopes import OPENID, SCOPES
from pagemill.client_credentials import epoch_of
from pagemill.ids import AppClientId, OrganizationId, PrincipalId

OVER_TLS = "https://oauth2.invalid/"
"""Authlib refuses requests that came without TLS. It ends in front of the API, so there was some."""
CLIENT_AUTHENTICATION = ["client_secret_post", "none"]
"""HTTP Basic is read before, and looks like ``client_secret_post`` to Authlib."""
S256 = "S256"

Parameters = Mapping[str, Sequence[str]]
"""Parameters of a request, with all values of each."""


class Client(ClientMixin):
    """An app client, or the credentials of a container, as Authlib asks for it."""

    def __init__(
        self,
        *,
        client_id: str,
        organization_id: OrganizationId,
        principal_id: PrincipalId,
        secret_hash: str | None,
        previous_secret_hash: str | None = None,
        token_epoch: int = 0,
        callback_urls: Sequence[str] = (),
    ) -> None:
        self.client_id = client_id
        self.organization_id = organization_id
        self.principal_id = principal_id
        self.epoch = token_epoch
        self._secret_hash, self._previous_secret_hash = secret_hash, previous_secret_hash
        self._token_epoch = token_epoch
        self._callback_urls = callback_urls

    @classmethod
    def of_app_client(cls, row: AppClientCredentialsRow) -> Client:
        """Return an app client."""
        return cls(
            client_id=row.client_id,
            organization_id=row.organization_id,
            principal_id=PrincipalId(row.id),
            secret_hash=row.secret_hash,
            previous_secret_hash=row.previous_secret_hash,
            token_epoch=row.token_epoch,
            callback_urls=row.configuration.get("callbackUrls") or (),
        )

    @property
    def is_public(self) -> bool:
        """Return whether it has no secret."""
        return self._secret_hash is None

    def get_client_id(self) -> str:
        """Return the OAuth client id."""
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        """Return None: the URL is always part of the request."""
        return None

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return the requested scopes; those that exist were looked at before."""
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Return whether a URL is registered, letter by letter."""
        return redirect_uri in self._callback_urls

    def check_client_secret(self, client_secret: str) -> bool:
        """Return whether a secret is right, and note of which epoch its tokens are."""
        epoch = epoch_of(
            client_secret,
            secret_hash=self._secret_hash,
            previous_secret_hash=self._previous_secret_hash,
            epoch=self._token_epoch,
        )
        if epoch is None:
            return False
        self.epoch = epoch
        return True

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Return whether the client may authenticate in this way: only a public one may not at all."""
        return method == ("none" if self.is_public else "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        """Return whether codes are asked for."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Return whether the client may use a grant; a public one acts for users only."""
        if grant_type == "client_credentials":
            return not self.is_public
        return grant_type in ("authorization_code", "refresh_token") and bool(self._callback_urls)


class Code(AuthorizationCodeMixin):
    """An authorization code as Authlib asks for it."""

    def __init__(self, row: AuthorizationCodeRow) -> None:
        self.row = row
        self.code_challenge = row.code_challenge
        self.code_challenge_method = S256

    def get_redirect_uri(self) -> str:
        """Return the URL that the code was sent to."""
        return self.row.redirect_uri

    def get_scope(self) -> str:
        """Return the granted scopes."""
        return self.row.scope or ""


class Refresh(TokenMixin):
    """A refresh token as Authlib asks for it."""

    def __init__(self, row: RefreshTokenRow) -> None:
        self.row = row

    def check_client(self, client: Client) -> bool:
        """Return whether the token was issued to a client."""
        return belongs_to(self.row.app_client_id, client)

    def get_scope(self) -> str:
        """Return the granted scopes."""
        return self.row.scope or ""


def belongs_to(app_client_id: AppClientId, client: Client) -> bool:
    """Return whether an app client is this one."""
    return PrincipalId(app_client_id) == client.principal_id


class Payload(OAuth2Payload):
    """Parameters of a request."""

    def __init__(self, parameters: Parameters) -> None:
        self._lists = {name: list(values) for name, values in parameters.items()}
        self._first = {name: values[0] for name, values in parameters.items() if values}

    @property
    def data(self) -> dict[str, str]:
        """Return the first value of each parameter."""
        return self._first

    @property
    def datalist(self) -> dict[str, list[str]]:
        """Return all values of each parameter."""
        return self._lists


class ProtocolRequest(OAuth2Request):
    """A request as Authlib reads it; query and form are one, as the clients send them."""

    def __init__(self, method: str, parameters: Parameters) -> None:
        super().__init__(method, OVER_TLS)
        self.payload = Payload(parameters)

    @property
    def args(self) -> dict[str, str]:
        """Return the parameters."""
        return self.payload.data

    @property
    def form(self) -> dict[str, str]:
        """Return the parameters."""
        return self.payload.data


class S256Challenge(CodeChallenge):
    """PKCE by S256, for every client."""

    DEFAULT_CODE_CHALLENGE_METHOD = S256
    SUPPORTED_CODE_CHALLENGE_METHOD = [S256]  # noqa: RUF012 - as Authlib declares it
    CODE_CHALLENGE_METHODS = {  # noqa: RUF012 - as Authlib declares it
        S256: lambda verifier, challenge: hmac.compare_digest(create_s256_code_challenge(verifier), challenge)
    }

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Check the challenge of an authorization request. Raises InvalidRequestError."""
        data = grant.request.payload.data
        if not data.get("code_challenge") or data.get("code_challenge_method") != S256:
            raise InvalidRequestError("code_challenge with code_challenge_method=S256 is needed")
        super().validate_code_challenge(grant, redirect_uri)


class CodeGrant(AuthorizationCodeGrant):
    """Authorization codes."""

    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTHENTICATION

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        """Return the code if it is this client's, was not used, has not expired, and its session goes on."""
        row = self.server.facts.code
        if row is None or row.grant_id is not None or row.is_expired or row.session_is_over:
            return None
        return Code(row) if belongs_to(row.app_client_id, client) else None

    def authenticate_user(self, authorization_code: Code) -> AuthorizationCodeRow | None:
        """Return the user of the code while it is active."""
        return authorization_code.row if authorization_code.row.user_is_active else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Do nothing: whoever carries out the answer notes that the code was used."""


class RefreshGrant(RefreshTokenGrant):
    """Refresh tokens, which are replaced whenever they are used."""

    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTHENTICATION
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Refresh | None:
        """Return the token if its grant goes on and nobody else has used it."""
        row = self.server.facts.refresh_token
        if row is None or row.is_over or row.is_reused or not row.user_is_active:
            return None
        return Refresh(row)

    def authenticate_user(self, refresh_token: Refresh) -> RefreshTokenRow:
        """Return the user of the token."""
        return refresh_token.row

    def revoke_old_credential(self, refresh_token: Refresh) -> None:
        """Do nothing: whoever carries out the answer notes that the token was used."""


class CredentialsGrant(ClientCredentialsGrant):
    """Credentials of app clients and containers."""

    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTHENTICATION


@dataclass(frozen=True, slots=True)
class Facts:
    """The rows that a request names."""

    client: Client | None = None
    code: AuthorizationCodeRow | None = None
    refresh_token: RefreshTokenRow | None = None


@dataclass(frozen=True, slots=True)
class ProtocolAnswer:
    """Answer of Authlib: a status and a body, or a place to go to."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)
    location: str | None = None


TokenMaker = Callable[..., dict[str, Any]]
"""Function of ``grant_type``, ``client``, ``user``, ``scope`` and more that returns a token's members."""


class ProtocolServer(AuthorizationServer):
    """Authorization server for one request."""

    def __init__(self, facts: Facts, make_token: TokenMaker | None = None) -> None:
        super().__init__(scopes_supported=sorted({*SCOPES, *OPENID}))
        self.facts = facts
        self.register_grant(CodeGrant, [S256Challenge(required=True)])
        self.register_grant(RefreshGrant)
        self.register_grant(CredentialsGrant)
        if make_token is not None:
            self.register_token_generator("default", make_token)

    def query_client(self, client_id: str) -> Client | None:
        """Return the client that was read, if it is asked for."""
        client = self.facts.client
        return client if client is not None and client.client_id == client_id else None

    def save_token(self, token: Mapping[str, Any], request: OAuth2Request) -> None:
        """Do nothing: whoever carries out the answer writes it."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Do nothing: nobody listens."""

    def create_oauth2_request(self, request: ProtocolRequest) -> ProtocolRequest:
        """Return the request."""
        return request

    def handle_response(self, status: int, body: Any, headers: Sequence[tuple[str, str]]) -> ProtocolAnswer:
        """Return what was decided."""
        return ProtocolAnswer(status, body if isinstance(body, dict) else {}, dict(headers).get("Location"))
