"""``/oauth2/authorize``, by which an app has a person sign in, and ``/logout``.

A mistake in the app client or its URL is told on a page: nobody is ever sent to a URL that is not
registered. All other mistakes go to the app client's URL, as OAuth says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from authlib.oauth2 import OAuth2Error
from litestar import Response, get

from db.app_clients import AppClientCredentialsRow, find_app_client
from db.statements import Connection
from db.users import list_signing_users
from pagemill.api.auth.authorization_server import Client, Facts, ProtocolRequest, ProtocolServer
from pagemill.api.auth.discovery import AUTHORIZE_PATH, LOGOUT_PATH
from pagemill.api.auth.session_cookies import no_session_cookie, session_of
from pagemill.api.auth.sign_in_requests import seal_request
from pagemill.api.auth.sign_in_wishes import SignInWishes, WishRefused, read_wishes
from pagemill.api.http.app_state import AppState
from pagemill.api.http.client_address import client_address
from pagemill.api.http.requests import ApiRequest
from pagemill.ids import UserId
from pagemill.people.accounts import can_accept
from pagemill.people.grants import AuthorizationRequest, issue_code
from pagemill.people.sessions import Session, end_session
from pagemill.settings import Settings

SIGN_IN_PATH = "/sign-in"
ORGANIZATION_PATH = "/sign-in/organization"
LONGEST_PARAMETER = 2048
MOST_PARAMETERS = 30
LONGEST_NAME = 200
MARK = 16
STATE_ALONE = frozenset('"\\')
"""Characters that a state may have, and no other parameter: errors repeat those (RFC 6749, 4.1.2.1)."""


class Unredirectable(Exception):
    """An authorization request that is answered with a page; the message says why."""


class Redirected(Exception):
    """An authorization request that is refused at the app client's own URL."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


@get(AUTHORIZE_PATH, public=True, include_in_schema=False)
async def authorize(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Have a person sign in for an app client, and send the browser back to it with a code."""
    parameters = _all_values(request)
    address = client_address(request.scope, app_state.trusted_proxies)
    app_state.token_throttle.admit(address, f"{AUTHORIZE_PATH} {_first(parameters, 'client_id')}")
    # Now, not on a second connection while this request holds one.
    await app_state.tokens.keys.refresh()
    try:
        async with app_state.connection() as connection:
            asked = await read_request(connection, parameters, app_state.settings)
            wishes = _wishes(asked, parameters)
            session = await session_of(request, connection)
            asked = msgspec.structs.replace(
                asked,
                login_hint=wishes.email,
                wanted_user=wishes.user_id,
                stale_session=None if wishes.are_fulfilled_by(session) else mark_of(session),
            )
            place = await continue_authorization(app_state, connection, asked, session)
    except Unredirectable as error:
        return page(f"This sign-in does not work: {error}")
    except Redirected as error:
        return redirect(error.url)
    if wishes.silent and place.startswith(SIGN_IN_PATH):
        needed = "interaction_required" if place.startswith(ORGANIZATION_PATH) else "login_required"
        return redirect(asked.redirect(error=needed))
    return redirect(place)


async def continue_authorization(
    app_state: AppState,
    connection: Connection,
    asked: AuthorizationRequest,
    session: Session | None,
    *,
    user_id: UserId | None = None,
) -> str:
    """Return where a browser goes next.

    Where nobody has signed in, or has to do it again, that is the page for it. With one user it is the app
    client's URL, with a code; with several, the page that asks which one, after which ``user_id`` is the
    choice, or on which an invitation can be accepted; without either, the app client's URL with
    ``access_denied``.
    """
    if session is None or mark_of(session) == asked.stale_session:
        return await _place(app_state, SIGN_IN_PATH, asked)
    wanted = None if asked.spans_organizations else asked.organization_id
    users = await list_signing_users(connection, profile_id=session.profile_id, wanted_organization_id=wanted)
    if asked.wanted_user is not None:
        users = [user for user in users if user.user_id == asked.wanted_user]
        if not users:
            # Somebody else has signed in than the app wants (OpenID Connect Core, 3.1.2.2).
            return asked.redirect(error="login_required")
    if user_id is not None:
        users = [user for user in users if user.user_id == user_id]
    if not users:
        if user_id is None and await can_accept(connection, session.profile_id, only=wanted):
            return await _place(app_state, ORGANIZATION_PATH, asked)
        return asked.redirect(error="access_denied")
    if len(users) > 1:
        return await _place(app_state, ORGANIZATION_PATH, asked)
    return await issue_code(connection, asked, users[0], session_id_hash=session.id_hash)


async def read_request(
    connection: Connection, parameters: Mapping[str, Sequence[str]], settings: Settings
) -> AuthorizationRequest:
    """Return what an app client asks for. Raises Unredirectable and Redirected."""
    _check_characters(parameters)
    row = await find_app_client(connection, client_id=_first(parameters, "client_id"))
    client = None if row is None else Client.of_app_client(row)
    server = ProtocolServer(Facts(client))
    try:
        grant = server.get_consent_grant(ProtocolRequest("GET", parameters))
    except OAuth2Error as error:
        status, body, headers = error()
        if status == 302:
            raise Redirected(dict(headers)["Location"]) from None
        raise Unredirectable(str(body.get("error_description") or body["error"])) from None
    assert row is not None, "Authlib has found the client"
    data: Mapping[str, str] = grant.request.payload.data
    return AuthorizationRequest(
        organization_id=row.organization_id,
        app_client_id=row.id,
        app_client_name=None if row.name is None else row.name[:LONGEST_NAME],
        spans_organizations=spans_organizations(row, settings),
        redirect_uri=grant.redirect_uri,
        code_challenge=data["code_challenge"],
        scope=data.get("scope") or None,
        state=data.get("state"),
        nonce=data.get("nonce"),
    )


def mark_of(session: Session | None) -> str | None:
    """Return the beginning of a session's hash, which tells it from another one."""
    return None if session is None else session.id_hash[:MARK]


def _wishes(asked: AuthorizationRequest, parameters: Mapping[str, Sequence[str]]) -> SignInWishes:
    """Return how the app wants its person to be signed in. Raises Redirected."""
    try:
        return read_wishes(parameters)
    except WishRefused as refused:
        raise Redirected(asked.redirect(error=refused.error)) from None


def spans_organizations(row: AppClientCredentialsRow, settings: Settings) -> bool:
    """Return whether people may choose another organization than that of the app client.

    The operator names such app clients. Through any other, its organization could get at what its users may
    do elsewhere.
    """
    names = (name.strip() for name in settings.sign_in_app_clients.split(","))
    return row.client_id in names


@get(LOGOUT_PATH, public=True, include_in_schema=False)
async def log_out(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Sign a browser out, end what was granted in it, and send it to the app client's ``logout_uri``."""
    client_id = request.query_params.get("client_id", "")
    logout_uri = request.query_params.get("logout_uri", "")
    async with app_state.connection() as connection:
        row = await find_app_client(connection, client_id=client_id)
        if row is None or logout_uri not in (row.configuration.get("logoutUrls") or ()):
            return page("This link does not sign out: its app or its address is not known.")
        session = await session_of(request, connection)
        if session is not None:
            async with connection.transaction():
                await end_session(connection, session)
    answer = redirect(logout_uri)
    answer.set_cookie(no_session_cookie())
    return answer


def redirect(url: str) -> Response[Any]:
    """Return an answer that sends the browser to a URL by GET."""
    return Response("", status_code=303, media_type="text/plain", headers={"Location": url})


def page(text: str) -> Response[Any]:
    """Return a page of plain text, in which nothing that was sent can do anything."""
    return Response(text, status_code=400, media_type="text/plain")


async def _place(app_state: AppState, path: str, asked: AuthorizationRequest) -> str:
    return f"{path}?{urlencode({'request': await seal_request(app_state.tokens, asked, app_state.settings)})}"


def _all_values(request: ApiRequest) -> dict[str, list[str]]:
    """Return the parameters of a query, with all values of each."""
    values: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        values.setdefault(str(name), []).append(str(value))
    return values


def _first(parameters: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(parameters.get(name, ())), "")


def _check_characters(parameters: Mapping[str, Sequence[str]]) -> None:
    """Check that parameters are short printable ASCII, as OAuth wants them. Raises Unredirectable."""
    if len(parameters) > MOST_PARAMETERS:
        raise Unredirectable("there are too many parameters")
    for name, values in parameters.items():
        for value in values:
            if len(value) > LONGEST_PARAMETER or not value.isascii() or not value.isprintable():
                raise Unredirectable("a parameter is too long, or has characters that it cannot have")
            if name != "state" and STATE_ALONE & set(value):
                raise Unredirectable("a parameter has characters that it cannot have")
