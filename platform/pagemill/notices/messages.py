"""Mailed messages, made from the payloads of their jobs: plain text, and the same as simple HTML.

Texts of users are one printable line in a subject, and escaped in HTML.
"""

from __future__ import annotations

import datetime
import html
import re
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from string import Template
from typing import Literal, TypeAlias

import msgspec

from pagemill.ids import CodeId

LONGEST_NAME = 100
_ADDRESS = re.compile(r"[-+._A-Za-z0-9]{1,254}@[-_.A-Za-z0-9]{1,254}")

TEXT = Template("$heading\n\n$paragraphs\n$code$link\n-- \n$footer\n")
HTML = Template(
    """<!DOCTYPE html>
<html lang="en"><body style="font-family: sans-serif; line-height: 1.5; max-width: 40em; margin: 1em">
<h1 style="font-size: 1.25em">$heading</h1>
$paragraphs
$code$link
<p style="color: #666; font-size: 0.875em">$footer</p>
</body></html>
"""
)
BUTTON = Template(
    '<p><a href="$url" style="display: inline-block; padding: 0.5em 1em; border-radius: 0.25em; '
    'background: #1a56db; color: #fff; text-decoration: none">$label</a></p>'
)

CODE = Template('<p style="font: 1.5em monospace; letter-spacing: 0.05em">$code</p>\n')

STATUSES = {
    "pending": "waits to be run",
    "preparing": "is being prepared",
    "running": "is running",
    "running-final-evaluation": "is being evaluated",
    "succeeded": "has succeeded",
    "failed": "has failed",
    "cancelled": "was cancelled",
}


class _Notice(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="notice"):
    """Payload of a mail's job. ``to`` is one address, ``organization`` a name."""

    to: str
    organization: str


class TrainingNotice(_Notice, frozen=True, kw_only=True, rename="camel", tag="training"):
    """Payload of mail on a training's status."""

    status: str
    training_id: str
    training: str
    model_id: str
    model: str


class InvitationNotice(_Notice, frozen=True, kw_only=True, rename="camel", tag="invitation"):
    """Payload of an invitation to an organization; ``url`` leads to its login page.

    At ``acceptance_url`` its code is entered. An earlier release has written neither.
    """

    days: int
    url: str | None
    code_id: CodeId | None = None
    acceptance_url: str | None = None


class CodeNotice(_Notice, frozen=True, kw_only=True, rename="camel", tag="code"):
    """Payload of mail with a code, which is entered at ``url``. The organization is empty."""

    purpose: Literal["recover", "verify"]
    code_id: CodeId
    url: str
    minutes: int


class AccountNotice(_Notice, frozen=True, kw_only=True, rename="camel", tag="account"):
    """Payload of mail on what has happened to an account. The organization is empty."""

    event: Literal["exists", "password-changed"]
    url: str


class MeterNotice(msgspec.Struct, frozen=True):
    """A meter that has passed a threshold, in percent of its limit."""

    meter: str
    threshold: int
    used: float
    allowed: float


class LimitsNotice(_Notice, frozen=True, kw_only=True, rename="camel", tag="limits"):
    """Payload of mail on meters that come close to their limits."""

    month: str
    meters: list[MeterNotice]


class ExecutionNotice(_Notice, frozen=True, kw_only=True, rename="camel", tag="execution"):
    """Payload of mail on a failed execution; ``waits`` says whether a user has to decide how it goes on.

    An earlier release has not written the ``state``.
    """

    workflow: str
    workflow_id: str
    execution_id: str
    state: str = ""
    error: str
    cause: str
    waits: bool


Notice: TypeAlias = (
    TrainingNotice | InvitationNotice | CodeNotice | AccountNotice | LimitsNotice | ExecutionNotice
)


class Content(msgspec.Struct, frozen=True):
    """Text of a message, with a code, and with a button that leads to ``url``."""

    subject: str
    paragraphs: Sequence[str]
    url: str | None = None
    label: str = ""
    code: str = ""


def compose(
    notice: Notice, *, sender: str, message_id: str, date: datetime.datetime, code: str = ""
) -> EmailMessage:
    """Return the message to send, with the code that it wants. Raises ValueError for an invalid address."""
    if not _ADDRESS.fullmatch(notice.to):
        raise ValueError("to: is not an address")
    content = _content(notice, code)
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = notice.to
    # Encoded words would be decoded here, and a line break in one written as such.
    message["Subject"] = one_line(content.subject, limit=3 * LONGEST_NAME).replace("=?", "= ?")
    message["Date"] = format_datetime(date)
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_text(notice, content))
    message.add_alternative(_html(notice, content), subtype="html")
    return message


def one_line(text: str, *, limit: int = LONGEST_NAME) -> str:
    """Return the text without line breaks or control characters, and at most ``limit`` long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _content(notice: Notice, code: str) -> Content:
    match notice:
        case TrainingNotice():
            return _training(notice)
        case InvitationNotice():
            return _invitation(notice, code)
        case CodeNotice():
            return _code(notice, code)
        case AccountNotice():
            return _account(notice)
        case LimitsNotice():
            return _limits(notice)
        case ExecutionNotice():
            return _execution(notice)


def _training(notice: TrainingNotice) -> Content:
    what = STATUSES.get(notice.status, f"is {notice.status}")
    return Content(
        subject=f"A training of {one_line(notice.model)} {what}",
        paragraphs=(
            f"The training {one_line(notice.training)} of the model {one_line(notice.model)} {what}.",
            f"Training: {notice.training_id}",
            f"Model: {notice.model_id}",
        ),
    )


def _invitation(notice: InvitationNotice, code: str) -> Content:
    name = one_line(notice.organization)
    paragraphs = [
        f"You have been invited to the organization {name}.",
        f"The invitation is valid for {notice.days} days.",
    ]
    url, label = notice.url, "Sign in"
    if url is None and notice.acceptance_url is not None:
        url, label = notice.acceptance_url, "Accept the invitation"
    if url is None:
        paragraphs.append("Whoever invited you can tell you where to sign in.")
    if code and notice.url is not None:
        paragraphs.append('If you have no account yet, choose "I have an invitation" there, with this code:')
    elif code:
        paragraphs.append("This is the code of your invitation:")
    return Content(f"You are invited to {name}", paragraphs, url, label, code)


def _code(notice: CodeNotice, code: str) -> Content:
    match notice.purpose:
        case "recover":
            subject, asked = "Your code for a new password", "asked for a new password for this address"
        case "verify":
            subject, asked = "Your code to sign up", "signed up with this address"
    return Content(
        subject=subject,
        paragraphs=(
            f"Somebody, we hope you, has {asked}. This code works once, for {notice.minutes} minutes.",
            "If it was not you, do nothing, and tell the code to nobody: nobody from Pagemill asks for it.",
        ),
        url=notice.url,
        label="Enter the code",
        code=code,
    )


def _account(notice: AccountNotice) -> Content:
    match notice.event:
        case "exists":
            return Content(
                "You have an account already",
                (
                    "Somebody, we hope you, wanted to sign up with this address, which has an account.",
                    "Sign in with it. If you do not know its password, you can choose a new one there.",
                ),
                notice.url,
                "Sign in",
            )
        case "password-changed":
            return Content(
                "Your password was changed",
                (
                    "The password of your account was changed, and all other devices are signed out.",
                    "If it was not you, choose a new one now: somebody else can read your mail or knows it.",
                ),
                notice.url,
                "Choose a new password",
            )


def _limits(notice: LimitsNotice) -> Content:
    reached = any(meter.threshold >= 100 for meter in notice.meters)
    lines = [
        f"{meter.meter}: {meter.used:g} of {meter.allowed:g} ({meter.used / meter.allowed:.0%})"
        for meter in notice.meters
    ]
    state = "has reached" if reached else "comes close to"
    return Content(
        subject=f"{one_line(notice.organization)} {state} a limit of its plan",
        paragraphs=(
            f"This is what the organization has used, and what its plan allows ({notice.month}):",
            *lines,
            "At its limit, what would go beyond it is refused.",
        ),
    )


def _execution(notice: ExecutionNotice) -> Content:
    name = one_line(notice.workflow)
    end = "It waits for you to say how it goes on." if notice.waits else "It has ended."
    return Content(
        subject=f"An execution of {name} has failed",
        paragraphs=(
            f"An execution of the workflow {name} has failed. {end}",
            *([f"State: {one_line(notice.state)}"] if notice.state else []),
            f"{one_line(notice.error)}: {one_line(notice.cause, limit=1000)}",
            f"Execution: {notice.execution_id}",
            f"Workflow: {notice.workflow_id}",
        ),
    )


def _text(notice: Notice, content: Content) -> str:
    return TEXT.substitute(
        heading=content.subject,
        paragraphs="\n".join(content.paragraphs),
        code=f"\n    {content.code}\n" if content.code else "",
        link="" if content.url is None else f"\n{content.label}: {one_line(content.url, limit=4096)}\n",
        footer=_footer(notice),
    )


def _html(notice: Notice, content: Content) -> str:
    link = ""
    if content.url is not None:
        link = BUTTON.substitute(url=html.escape(content.url), label=html.escape(content.label))
    return HTML.substitute(
        heading=html.escape(content.subject),
        paragraphs="\n".join(f"<p>{html.escape(text)}</p>" for text in content.paragraphs),
        code=CODE.substitute(code=html.escape(content.code)) if content.code else "",
        link=link,
        footer=html.escape(_footer(notice)),
    )


def _footer(notice: Notice) -> str:
    return f"Pagemill, for {one_line(notice.organization)}" if notice.organization else "Pagemill"
