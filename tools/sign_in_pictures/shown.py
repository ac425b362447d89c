"""The pages as they are shown in the pictures: the product's own templates, with people who do not exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from db.profiles import PersonRow
from pagemill.api.sign_in.pages import ICON, STYLE, environment
from pagemill.ids import OrganizationId, ProfileId, UserId
from pagemill.people.accounts import Choice
from pagemill.people.password_rules import TOO_EASY

ADDRESS: Final = "ada@example.com"
CODE: Final = "9WK3-6AWP-0XY2-R0PS-M43H"
EMPTY: Final = {"email": "", "code": "", "given_name": "", "family_name": "", "organization": ""}


class _Button(NamedTuple):
    name: str
    title: str


class Shown(NamedTuple):
    """A page of a picture; ``caption`` says what is to be seen."""

    template: str
    caption: str
    context: Mapping[str, Any]


def _choice(name: str, *, invited: bool = False) -> Choice:
    return Choice(
        organization_id=OrganizationId(f"las:organization:{name}"),
        user_id=UserId(f"las:user:{name}"),
        name=name,
        invited=invited,
    )


CHOICES: Final = [
    _choice("Analytical Engines"),
    _choice("Royal Society"),
    _choice("Byron & Co.", invited=True),
]

PAGES: Final[Mapping[str, Shown]] = {
    "sign-in": Shown(
        "sign_in.html.j2",
        "Sign in for an app, with a password or at a provider",
        {
            "email": "",
            "error": "",
            "connecting": "",
            "providers": [_Button("google", "Google"), _Button("work", "Work account")],
            "sign_up": True,
        },
    ),
    "wrong": Shown(
        "sign_in.html.j2",
        "The same answer for every mistake",
        {
            "email": ADDRESS,
            "error": "The e-mail address or the password is wrong.",
            "connecting": "",
            "providers": [],
            "sign_up": False,
        },
    ),
    "connect": Shown(
        "sign_in.html.j2",
        "Connect an account at a provider",
        {
            "email": ADDRESS,
            "error": "",
            "connecting": "Google account",
            "providers": [_Button("google", "Google")],
            "sign_up": False,
        },
    ),
    "recovery": Shown(
        "recovery_code.html.j2", "A new password with a code", {"email": ADDRESS, "wrong": "", "error": ""}
    ),
    "invitation": Shown(
        "invitation.html.j2",
        "Accept an invitation",
        {"filled": EMPTY | {"email": ADDRESS, "code": CODE}, "wrong": "new_password", "error": TOO_EASY},
    ),
    "organization": Shown(
        "organization.html.j2", "Choose an organization", {"email": ADDRESS, "choices": CHOICES}
    ),
    "sign-up": Shown(
        "sign_up_code.html.j2",
        "Create an organization",
        {"filled": EMPTY | {"email": ADDRESS}, "wrong": "", "error": ""},
    ),
    "account": Shown(
        "account.html.j2",
        "The account",
        {
            "person": PersonRow(ProfileId("las:profile:ada"), ADDRESS, "Ada Lovelace"),
            "choices": CHOICES,
            "providers": ["Google"],
            "changed": False,
            "has_password": True,
        },
    ),
}
"""Pages by the names of their pictures."""
OF_AN_APP: Final = {"sign-in", "wrong", "organization"}


def html_of(name: str) -> str:
    """Return the HTML of a page."""
    shown = PAGES[name]
    return (
        environment()
        .get_template(shown.template)
        .render(
            app="Review desk" if name in OF_AN_APP else None,
            hidden={},
            link=lambda path: path,
            style=STYLE,
            icon=ICON,
            **shown.context,
        )
    )
