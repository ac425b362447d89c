"""The way to an OpenID provider and back. It has no form: a link leads there, and the provider leads back."""

from __future__ import annotations

import hmac
import logging
from typing import Any, Final

import msgspec
from litestar import Response, get

from pagemill.api.auth.authorize import SIGN_IN_PATH
from pagemill.api.http.app_state import AppState
from pagemill.api.http.request_ids import request_id_of
from pagemill.api.http.requests import ApiRequest
from pagemill.api.sign_in.admission import sign_in_person
from pagemill.api.sign_in.audit_trail import tell
from pagemill.api.sign_in.connecting import account_to_connect, keep_waiting
from pagemill.api.sign_in.cookies import (
    PROVIDER_COOKIE,
    REQUEST_COOKIE,
    cookie_of_state,
    forgotten_cookies,
    provider_cookies,
)
from pagemill.api.sign_in.openid.id_tokens import TokenRefused
from pagemill.api.sign_in.openid.providers import Handshake, Provider, new_handshake
from pagemill.api.sign_in.pages import page, redirect
from pagemill.api.sign_in.sealed_texts import open_text, seal_text
from pagemill.api.sign_in.visits import Visit, open_visit
from pagemill.errors import NotFound
from pagemill.people.identities import AddressTaken, find_or_admit
from pagemill.people.sign_up import found_first_organization

PURPOSE: Final = "openid"
SECONDS: Final = 900
LONGEST_VALUE: Final = 4096
MESSAGE: Final = "message.html.j2"
HEADING: Final = "That did not work"
CANCELLED: Final = "Nobody was signed in at the other service."
STALE: Final = "This sign-in has taken too long, or was begun in another browser. Start again."
REFUSED: Final = "The answer of the other service cannot be trusted. Nobody was signed in."
UNKNOWN: Final = (
    "This account is not known here. Ask for an invitation to its e-mail address, "
    "which the other service has to have verified."
)

logger = logging.getLogger(__name__)


class Journey(msgspec.Struct, frozen=True):
    """Sealed memory of a browser while its person is at a provider."""

    provider: str
    handshake: Handshake


@get("/openid/{name:str}")
async def leave_for_provider(request: ApiRequest, app_state: AppState, name: str) -> Response[Any]:
    """Send the browser to a provider, with a state, a nonce and a challenge of its own."""
    visit = await open_visit(request, app_state)
    provider = _provider(visit, name)
    visit.admit("provider")
    handshake = new_handshake()
    url = await provider.authorization_url(handshake)
    kept = seal_text(
        app_state.secret_box, PURPOSE, msgspec.to_builtins(Journey(name, handshake)), seconds=SECONDS
    )
    cookies = provider_cookies(handshake.state, kept, visit.sealed, seconds=SECONDS)
    return redirect(url, cookies=[*forgotten_cookies(request), *cookies])


@get("/openid/{name:str}/callback")
async def return_from_provider(request: ApiRequest, app_state: AppState, name: str) -> Response[Any]:
    """Sign in the person of the account that a provider vouches for.

    The state has to be that of a journey of this browser to this provider, and each journey ends here.
    """
    state = _parameter(request, "state")
    visit = await open_visit(request, app_state, sealed=cookie_of_state(request, REQUEST_COOKIE, state))
    provider = _provider(visit, name)
    journey = _journey(visit, state)
    if journey is None or journey.provider != name or not _is_same(journey.handshake.state, state):
        return _message(visit, STALE)
    answer = await _finish(visit, provider, journey)
    for cookie in provider_cookies(state, "", "", seconds=0):
        answer.set_cookie(cookie)
    return answer


async def _finish(visit: Visit, provider: Provider, journey: Journey) -> Response[Any]:
    request, code = visit.request, _parameter(visit.request, "code")
    said_issuer = request.query_params.get("iss")
    if said_issuer not in (None, provider.issuer):
        return await _refuse(visit, provider, REFUSED, "another issuer")
    if not code:
        return await _refuse(visit, provider, CANCELLED, "no code")
    visit.admit("provider")
    try:
        account = await provider.account_of(code, journey.handshake)
    except TokenRefused as error:
        return await _refuse(visit, provider, REFUSED, str(error))
    async with visit.app_state.connection() as connection, connection.transaction():
        settings = visit.app_state.settings
        try:
            profile_id = await find_or_admit(connection, account, anybody=settings.sign_up)
        except AddressTaken as taken:
            waiting = account_to_connect(provider, account, taken.profile_id)
            return redirect(visit.link(SIGN_IN_PATH), cookies=[keep_waiting(visit, waiting)])
        if profile_id is not None:
            if settings.sign_up:
                await found_first_organization(
                    connection, profile_id, plan_slug=settings.new_organization_plan
                )
            return await sign_in_person(visit, connection, profile_id, way=provider.name)
    return await _refuse(visit, provider, UNKNOWN, "nobody's account")


async def _refuse(visit: Visit, provider: Provider, text: str, reason: str) -> Response[Any]:
    """Return a page that says why nobody was signed in; only the log says it in detail."""
    logger.info(
        "sign-in by %s: %s", provider.name, reason, extra={"request_id": request_id_of(visit.request)}
    )
    async with visit.app_state.connection() as connection:
        await tell(visit, connection, "signIn", outcome="refused", details={"way": provider.name})
    return _message(visit, text)


def _provider(visit: Visit, name: str) -> Provider:
    provider = visit.services.providers.get(name)
    if provider is None:
        raise NotFound("Not Found")
    return provider


def _journey(visit: Visit, state: str) -> Journey | None:
    """Return the journey on which this browser was sent with a state."""
    cookie = cookie_of_state(visit.request, PROVIDER_COOKIE, state)
    kept = open_text(visit.app_state.secret_box, PURPOSE, cookie)
    return None if kept is None else msgspec.convert(kept, Journey)


def _parameter(request: ApiRequest, name: str) -> str:
    value = request.query_params.get(name, "")
    return value if len(value) <= LONGEST_VALUE else ""


def _is_same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _message(visit: Visit, text: str) -> Response[Any]:
    return page(visit, MESSAGE, status=400, heading=HEADING, text=text, back=visit.link("/sign-in"))
