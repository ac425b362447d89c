"""A browser that asks for a page or sends its form: for which app it signs in, and what it has filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode

from pagemill.api.auth.sign_in_requests import open_request
from pagemill.api.http.app_state import AppState
from pagemill.api.http.client_address import client_address
from pagemill.api.http.requests import ApiRequest
from pagemill.api.sign_in.cookies import form_value, new_form_value
from pagemill.api.sign_in.sealed_texts import open_text, seal_text
from pagemill.api.sign_in.services import SignInServices
from pagemill.api.sign_in.throttle import Act
from pagemill.errors import BadRequest, Forbidden
from pagemill.people.grants import AuthorizationRequest
from pagemill.storable_text import RULE, is_storable_query

REQUEST: Final = "request"
"""The sealed authorization request, in queries and forms."""
TOKEN: Final = "token"  # noqa: S105 - the name of a field
PURPOSE: Final = "form"
LONGEST_FORM: Final = 16 * 1024
MOST_FIELDS: Final = 20
FORM_TYPE: Final = "application/x-www-form-urlencoded"
FORM_SECONDS: Final = 3600.0
OWN_SITE: Final = ("same-origin", "none")
EXPIRED: Final = (
    "This page was open for too long, or cookies are turned off. Go back, load it again and try again."
)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to a page. ``sealed`` is the authorization request of ``asked``, empty without one."""

    request: ApiRequest
    app_state: AppState
    sealed: str = ""
    asked: AuthorizationRequest | None = None
    form: Mapping[str, str] = field(default_factory=dict)
    form_value: str = field(default_factory=new_form_value)

    @property
    def services(self) -> SignInServices:
        """Return what the pages share."""
        return self.app_state.sign_in

    @property
    def address(self) -> str:
        """Return the address that the request comes from."""
        return client_address(self.request.scope, self.app_state.trusted_proxies)

    @property
    def login_hint(self) -> str:
        """Return the address that the app thinks will sign in, empty without one."""
        return "" if self.asked is None else self.asked.login_hint or ""

    def value(self, name: str) -> str:
        """Return what was filled in; empty without it."""
        return self.form.get(name, "")

    def admit(self, act: Act, account: str = "") -> None:
        """Count a try, with an account if it is of one. Raises TooManyRequests."""
        self.services.throttle.admit(act, self.address, account)

    def link(self, path: str) -> str:
        """Return the path of another page, which goes on with the same authorization request."""
        return f"{path}?{urlencode({REQUEST: self.sealed})}" if self.sealed else path

    def public_link(self, path: str) -> str:
        """Return the URL of a page, for mail."""
        return f"{self.app_state.settings.public_url.rstrip('/')}{path}"

    def form_token(self) -> str:
        """Return the token of a new form, which is good for this browser."""
        return seal_text(
            self.app_state.secret_box, PURPOSE, {}, seconds=FORM_SECONDS, bound_to=self.form_value
        )


async def open_visit(request: ApiRequest, app_state: AppState, *, sealed: str | None = None) -> Visit:
    """Return a visit to a page, with the authorization request of its query unless another is given.

    Raises BadRequest when that is not one of ours.
    """
    if sealed is None:
        sealed = request.query_params.get(REQUEST, "")
    return Visit(
        request,
        app_state,
        sealed,
        await _asked(app_state, sealed),
        form_value=form_value(request) or new_form_value(),
    )


async def open_form(request: ApiRequest, app_state: AppState) -> Visit:
    """Return a visit that sends a form of our own.

    Raises Forbidden for a form that another site has sent, or an old one, and BadRequest.
    """
    value = form_value(request)
    if request.headers.get("sec-fetch-site", "none") not in OWN_SITE or value is None:
        raise Forbidden(EXPIRED)
    form = await _read_form(request)
    if open_text(app_state.secret_box, PURPOSE, form.get(TOKEN), bound_to=value) is None:
        raise Forbidden(EXPIRED)
    sealed = form.get(REQUEST, "")
    return Visit(request, app_state, sealed, await _asked(app_state, sealed), form, value)


async def _asked(app_state: AppState, sealed: str) -> AuthorizationRequest | None:
    if not sealed:
        return None
    # Now, not on a second connection while the page holds one.
    await app_state.tokens.keys.refresh()
    return await open_request(app_state.tokens, sealed)


async def _read_form(request: ApiRequest) -> Mapping[str, str]:
    """Return the fields of a form. Raises BadRequest."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise BadRequest("the form cannot be read")
    body = await request.body()
    if not is_storable_query(body):
        raise BadRequest(f"form: {RULE}")
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise BadRequest("the form cannot be read") from None
    return dict(fields)
