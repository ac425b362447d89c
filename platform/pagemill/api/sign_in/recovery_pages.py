"""Pages for people who do not know their password: a code is mailed to the address, and proves it."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post

from pagemill.api.http.app_state import AppState
from pagemill.api.http.requests import ApiRequest
from pagemill.api.sign_in.admission import sign_in_person
from pagemill.api.sign_in.afterwards import after_answer
from pagemill.api.sign_in.audit_trail import tell
from pagemill.api.sign_in.pages import page
from pagemill.api.sign_in.password_pages import RECOVERY_PATH, replace_password
from pagemill.api.sign_in.typed_codes import NO_ADDRESS, WRONG_CODE, proven_code
from pagemill.api.sign_in.visits import Visit, open_form, open_visit
from pagemill.people.accounts import find_person, find_profile_id, is_invited, keep_person
from pagemill.people.addresses import read_address
from pagemill.people.one_time_codes import mail_new_code, use_code
from pagemill.people.password_rules import problem_with

RECOVERY: Final = "recovery.html.j2"
CODE: Final = "recovery_code.html.j2"


@get("/recovery")
async def show_recovery(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Show the form for the address."""
    visit = await open_visit(request, app_state)
    return page(visit, RECOVERY, email=visit.login_hint, error="")


@post("/recovery")
async def request_recovery(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Mail a code to an address that has an account or an invitation.

    The answer is the same for all addresses, and is sent before it is looked whether there is one.
    """
    visit = await open_form(request, app_state)
    typed = visit.value("email")
    email = read_address(typed)
    visit.admit("mail", email or "")
    if email is None:
        return page(visit, RECOVERY, status=400, email=typed, error=NO_ADDRESS)
    answer = _code_page(visit, email)
    answer.background = after_answer(_mail_code, visit, email)
    return answer


@get("/recovery/code")
async def show_recovery_code(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Show the form for the code, to which the mail leads."""
    return _code_page(await open_visit(request, app_state), "")


@post("/recovery/code")
async def recover(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Give a person who has got the code a new password, and sign in; everything else is signed out."""
    visit = await open_form(request, app_state)
    typed, password = visit.value("email"), visit.value("new_password")
    email = read_address(typed)
    visit.admit("code", email or "")
    problem = problem_with(password, email=email or "")
    if problem is not None:
        return _code_page(visit, typed, status=400, wrong="new_password", error=problem)
    code = await proven_code(visit, "recover", email)
    if code is None or email is None:
        return _code_page(visit, typed, status=400, wrong="code", error=WRONG_CODE)
    password_hash = await visit.services.passwords.hash(password)
    async with app_state.connection() as connection, connection.transaction():
        if not await use_code(connection, code):
            return _code_page(visit, typed, status=400, wrong="code", error=WRONG_CODE)
        person = await find_person(connection, profile_id=await keep_person(connection, email))
        assert person is not None
        await replace_password(visit, connection, person, password_hash, way="recovery")
        return await sign_in_person(visit, connection, person.id, way="recovery")


async def _mail_code(visit: Visit, email: str) -> None:
    async with visit.app_state.connection() as connection, connection.transaction():
        profile_id = await find_profile_id(connection, email=email)
        if profile_id is None and not await is_invited(connection, email):
            return
        await mail_new_code(connection, "recover", email, url=visit.public_link(f"{RECOVERY_PATH}/code"))
        await tell(visit, connection, "requestCode", profile_id=profile_id, details={"purpose": "recover"})


def _code_page(
    visit: Visit, email: str, *, status: int = 200, wrong: str = "", error: str = ""
) -> Response[Any]:
    return page(visit, CODE, status=status, email=email, wrong=wrong, error=error)
