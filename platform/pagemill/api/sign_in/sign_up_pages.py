"""Pages for people who make an organization of their own; there are none unless the operator wants it."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post

from db.passwords import set_password_hash
from db.people_mail import mail_account_notice
from pagemill.api.auth.authorize import SIGN_IN_PATH
from pagemill.api.http.app_state import AppState
from pagemill.api.http.requests import ApiRequest
from pagemill.api.sign_in.admission import sign_in_person
from pagemill.api.sign_in.afterwards import after_answer
from pagemill.api.sign_in.audit_trail import tell
from pagemill.api.sign_in.invitation_pages import named
from pagemill.api.sign_in.pages import page
from pagemill.api.sign_in.typed_codes import NO_ADDRESS, WRONG_CODE, proven_code
from pagemill.api.sign_in.visits import Visit, open_form, open_visit
from pagemill.errors import NotFound
from pagemill.people.accounts import find_profile_id, keep_person
from pagemill.people.addresses import read_address
from pagemill.people.one_time_codes import mail_new_code, order_code, use_code
from pagemill.people.password_rules import problem_with
from pagemill.people.sign_up import found_organization

SIGN_UP: Final = "sign_up.html.j2"
CODE: Final = "sign_up_code.html.j2"
CODE_PATH: Final = "/sign-in/sign-up/code"
FIELDS: Final = ("email", "code", "given_name", "family_name", "organization")


@get("/sign-up")
async def show_sign_up(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Show the form for the address."""
    _require_sign_up(app_state)
    return page(await open_visit(request, app_state), SIGN_UP, email="", error="")


@post("/sign-up")
async def request_sign_up(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Mail a code to an address; to one that has an account, that it has one. The answer is the same."""
    _require_sign_up(app_state)
    visit = await open_form(request, app_state)
    typed = visit.value("email")
    email = read_address(typed)
    visit.admit("mail", email or "")
    if email is None:
        return page(visit, SIGN_UP, status=400, email=typed, error=NO_ADDRESS)
    answer = _code_page(visit)
    answer.background = after_answer(_mail_code, visit, email)
    return answer


@get("/sign-up/code")
async def show_sign_up_code(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Show the form for the code, the names and a password, to which the mail leads."""
    _require_sign_up(app_state)
    return _code_page(await open_visit(request, app_state))


@post("/sign-up/code")
async def sign_up(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Make the profile of a person who has got the code, and an organization, and sign in."""
    _require_sign_up(app_state)
    visit = await open_form(request, app_state)
    email, password = read_address(visit.value("email")), visit.value("new_password")
    visit.admit("code", email or "")
    problem = problem_with(password, email=email or "")
    if problem is not None:
        return _code_page(visit, status=400, wrong="new_password", error=problem)
    code = await proven_code(visit, "verify", email)
    if code is None or email is None:
        return _code_page(visit, status=400, wrong="code", error=WRONG_CODE)
    password_hash = await visit.services.passwords.hash(password)
    async with app_state.connection() as connection, connection.transaction():
        taken = await find_profile_id(connection, email=email) is not None
        if taken or not await use_code(connection, code):
            return _code_page(visit, status=400, wrong="code", error=WRONG_CODE)
        profile_id = await keep_person(
            connection,
            email,
            given_name=named(visit, "given_name"),
            family_name=named(visit, "family_name"),
        )
        await set_password_hash(connection, profile_id=profile_id, hash=password_hash)
        organization_id = await found_organization(
            connection,
            profile_id,
            name=named(visit, "organization"),
            plan_slug=app_state.settings.new_organization_plan,
        )
        await tell(visit, connection, "signUp", profile_id=profile_id, organization_id=organization_id)
        return await sign_in_person(visit, connection, profile_id, way="sign-up")


def _require_sign_up(app_state: AppState) -> None:
    if not app_state.settings.sign_up:
        raise NotFound("Not Found")


async def _mail_code(visit: Visit, email: str) -> None:
    quota = visit.app_state.settings.mail_quota
    async with visit.app_state.connection() as connection, connection.transaction():
        profile_id = await find_profile_id(connection, email=email)
        if profile_id is not None:
            # A code that is never made: as many notices are sent as codes would be.
            if await order_code(connection, "verify", email, most_a_day=quota) is None:
                return
            await mail_account_notice(
                connection, address=email, event="exists", url=visit.public_link(SIGN_IN_PATH)
            )
            return
        url = visit.public_link(CODE_PATH)
        await mail_new_code(connection, "verify", email, url=url, most_a_day=quota)
        await tell(visit, connection, "requestCode", details={"purpose": "verify"})


def _code_page(visit: Visit, *, status: int = 200, wrong: str = "", error: str = "") -> Response[Any]:
    return page(
        visit,
        CODE,
        status=status,
        filled={name: visit.value(name) for name in FIELDS},
        wrong=wrong,
        error=error,
    )
