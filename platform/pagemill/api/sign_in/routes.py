"""The routes of the pages: all below ``/sign-in``, with errors as pages, and not part of the API document."""

from __future__ import annotations

from typing import Any

from litestar import Router
from litestar.exceptions import HTTPException

from pagemill.api.sign_in.account_pages import (
    choose_organization,
    show_account,
    show_organizations,
    sign_out,
    sign_out_everywhere,
)
from pagemill.api.sign_in.invitation_pages import accept, show_invitation
from pagemill.api.sign_in.pages import get_icon, get_style, on_page_error
from pagemill.api.sign_in.password_pages import set_password, show_password, show_sign_in, sign_in
from pagemill.api.sign_in.provider_pages import leave_for_provider, return_from_provider
from pagemill.api.sign_in.recovery_pages import (
    recover,
    request_recovery,
    show_recovery,
    show_recovery_code,
)
from pagemill.api.sign_in.sign_up_pages import request_sign_up, show_sign_up, show_sign_up_code, sign_up
from pagemill.api.sign_in.visits import LONGEST_FORM

HANDLERS: list[Any] = [
    accept,
    choose_organization,
    get_icon,
    get_style,
    leave_for_provider,
    recover,
    request_recovery,
    request_sign_up,
    return_from_provider,
    set_password,
    show_account,
    show_invitation,
    show_organizations,
    show_password,
    show_recovery,
    show_recovery_code,
    show_sign_in,
    show_sign_up,
    show_sign_up_code,
    sign_in,
    sign_out,
    sign_out_everywhere,
    sign_up,
]


def sign_in_router() -> Router:
    """Return the routes of the pages."""
    return Router(
        "/sign-in",
        route_handlers=HANDLERS,
        exception_handlers={Exception: on_page_error, HTTPException: on_page_error, 500: on_page_error},
        request_max_body_size=LONGEST_FORM,
        include_in_schema=False,
        opt={"public": True},
    )
