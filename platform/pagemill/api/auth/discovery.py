"""Discovery: where the authorization server is, what it can do, and the keys that verify its tokens."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from pagemill.api.auth.authorization_server import S256
from pagemill.api.auth.scopes import OPENID, SCOPES
from pagemill.api.http.app_state import AppState
from pagemill.housekeeping.signing_keys import ALGORITHM, PUBLISHED_SECONDS

AUTHORIZE_PATH = "/oauth2/authorize"
TOKEN_PATH = "/oauth2/token"  # noqa: S105 - a path
LOGOUT_PATH = "/logout"
KEYS_PATH = "/oauth2/jwks"
KEPT = f"public, max-age={int(PUBLISHED_SECONDS / 2)}"


def describe_authorization_server(public_url: str) -> dict[str, Any]:
    """Return the metadata of RFC 8414 and of OpenID Connect Discovery 1.0, which are one document here."""
    return {
        "issuer": public_url,
        "authorization_endpoint": public_url + AUTHORIZE_PATH,
        "token_endpoint": public_url + TOKEN_PATH,
        "jwks_uri": public_url + KEYS_PATH,
        "scopes_supported": sorted({*SCOPES, *OPENID}),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": [S256],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


@get(
    ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"],
    public=True,
    include_in_schema=False,
)
async def openid_configuration(app_state: AppState) -> Response[dict[str, Any]]:
    """Describe the authorization server."""
    content = describe_authorization_server(app_state.settings.public_url)
    return Response(content, headers={"Cache-Control": KEPT})


@get(KEYS_PATH, public=True, include_in_schema=False)
async def public_keys(app_state: AppState) -> Response[dict[str, Any]]:
    """List the keys with which access tokens and ID tokens are verified."""
    keys = await app_state.tokens.keys.public_keys()
    return Response({"keys": keys}, headers={"Cache-Control": KEPT})
