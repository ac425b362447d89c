"""Pages to sign in with e-mail and password, and to change the password."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post

from db.passwords import CredentialsRow, find_credentials, find_password_hash, renew_password_hash
from db.people_mail import mail_account_notice
from db.profiles import PersonRow
from db.statements import Connection
from pagemill.api.auth.authorize import SIGN_IN_PATH
from pagemill.api.http.app_state import AppState
from pagemill.api.http.requests import ApiRequest
from pagemill.api.sign_in.admission import sign_in_person
from pagemill.api.sign_in.audit_trail import tell
from pagemill.api.sign_in.connecting import waiting_account
from pagemill.api.sign_in.members import signed_in
from pagemill.api.sign_in.pages import page, redirect
from pagemill.api.sign_in.visits import Visit, open_form, open_visit
from pagemill.people.accounts import change_password
from pagemill.people.addresses import read_address
from pagemill.people.password_rules import problem_with
from pagemill.people.sessions import Session

SIGN_IN: Final = "sign_in.html.j2"
PASSWORD: Final = "password.html.j2"  # noqa: S105 - a template
RECOVERY_PATH: Final = "/sign-in/recovery"
WRONG: Final = "The e-mail address or the password is wrong."
WRONG_NOW: Final = "This is not your current password."


@get("/")
async def show_sign_in(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Show the form for e-mail and password, and the other ways to sign in."""
    visit = await open_visit(request, app_state)
    return _sign_in_page(visit, email=visit.login_hint)


@post("/")
async def sign_in(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Sign in with e-mail and password.

    Unknown addresses, people without a password and wrong passwords get the same answer after the same work.
    """
    visit = await open_form(request, app_state)
    typed, password = visit.value("email"), visit.value("password")
    email = read_address(typed)
    visit.admit("password", email or "")
    credentials = None
    async with app_state.connection() as connection:
        if email is not None:
            credentials = await find_credentials(connection, email=email)
    # No connection is held while the password is hashed.
    stored = None if credentials is None else credentials.hash
    if not await visit.services.passwords.matches(password, stored):
        async with app_state.connection() as connection:
            profile_id = None if credentials is None else credentials.profile_id
            await tell(visit, connection, "signIn", outcome="refused", profile_id=profile_id)
        return _sign_in_page(visit, status=400, email=typed, error=WRONG)
    assert credentials is not None
    await _renew(visit, credentials, password)
    async with app_state.connection() as connection, connection.transaction():
        return await sign_in_person(visit, connection, credentials.profile_id, way="password")


@get("/password")
async def show_password(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Show the form for another password."""
    visit = await open_visit(request, app_state)
    async with app_state.connection() as connection:
        member = await signed_in(visit, connection)
        if member is None:
            return redirect(visit.link(SIGN_IN_PATH))
        has_password = await find_password_hash(connection, profile_id=member.person.id) is not None
    return _password_page(visit, member.person, has_password=has_password)


@post("/password")
async def set_password(request: ApiRequest, app_state: AppState) -> Response[Any]:
    """Change the password of a person who knows the one of now; all other devices are signed out."""
    visit = await open_form(request, app_state)
    async with app_state.connection() as connection:
        member = await signed_in(visit, connection)
        if member is None:
            return redirect(visit.link(SIGN_IN_PATH))
        stored = await find_password_hash(connection, profile_id=member.person.id)
    person, new = member.person, visit.value("new_password")
    visit.admit("password", person.email)
    if not await visit.services.passwords.matches(visit.value("password"), stored):
        return _password_page(visit, person, status=400, wrong="password", error=WRONG_NOW)
    problem = problem_with(new, email=person.email)
    if problem is not None:
        return _password_page(visit, person, status=400, wrong="new_password", error=problem)
    password_hash = await visit.services.passwords.hash(new)
    async with app_state.connection() as connection, connection.transaction():
        await replace_password(visit, connection, person, password_hash, way="password", but=member.session)
    return redirect("/sign-in/account?changed=1")


async def replace_password(
    visit: Visit,
    connection: Connection,
    person: PersonRow,
    password_hash: str,
    *,
    way: str,
    but: Session | None = None,
) -> None:
    """Change a password, and tell its person by mail."""
    await change_password(connection, person, password_hash, reason="the password was changed", but=but)
    await mail_account_notice(
        connection,
        address=person.email,
        event="password-changed",
        url=visit.public_link(RECOVERY_PATH),
    )
    await tell(visit, connection, "changePassword", profile_id=person.id, details={"way": way})


async def _renew(visit: Visit, credentials: CredentialsRow, password: str) -> None:
    """Hash a password again that was hashed with the parameters of an earlier release."""
    passwords, stored = visit.services.passwords, credentials.hash
    if stored is None or not passwords.is_outdated(stored):
        return
    new_hash = await passwords.hash(password)
    async with visit.app_state.connection() as connection:
        await renew_password_hash(
            connection, profile_id=credentials.profile_id, hash=stored, new_hash=new_hash
        )


def _sign_in_page(visit: Visit, *, status: int = 200, email: str = "", error: str = "") -> Response[Any]:
    waiting = waiting_account(visit)
    return page(
        visit,
        SIGN_IN,
        status=status,
        email=email,
        error=error,
        connecting="" if waiting is None else waiting.title,
        providers=visit.services.providers.values(),
        sign_up=visit.app_state.settings.sign_up,
    )


def _password_page(
    visit: Visit,
    person: PersonRow,
    *,
    status: int = 200,
    has_password: bool = True,
    wrong: str = "",
    error: str = "",
) -> Response[Any]:
    return page(
        visit,
        PASSWORD,
        status=status,
        email=person.email,
        has_password=has_password,
        wrong=wrong,
        error=error,
    )
