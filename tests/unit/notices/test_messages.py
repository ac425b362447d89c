"""Messages tell of events in text and HTML; no value in them can become a header or markup."""

from __future__ import annotations

import datetime
import email
import email.policy
from email.message import EmailMessage
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagemill.notices.messages import STATUSES, Notice, compose, one_line

WHEN = datetime.datetime(2026, 11, 25, 13, 47, tzinfo=datetime.UTC)
COMMON = {"to": "ada@example.com", "organization": "Acme"}
TRAINING = COMMON | {
    "notice": "training",
    "status": "succeeded",
    "trainingId": "las:model-training:t",
    "training": "First",
    "modelId": "las:model:m",
    "model": "Invoices",
}
INVITATION = COMMON | {"notice": "invitation", "days": 90, "url": "https://app.example.com/login?a=1&b=2"}
PERSONAL = {"to": "ada@example.com", "organization": ""}
CODE = PERSONAL | {
    "notice": "code",
    "purpose": "recover",
    "codeId": "las:one-time-code:1",
    "url": "https://mill.example.com/sign-in/recovery/code",
    "minutes": 20,
}
ACCOUNT = PERSONAL | {"notice": "account", "event": "exists", "url": "https://mill.example.com/sign-in"}
LIMITS = COMMON | {
    "notice": "limits",
    "month": "2026-11",
    "meters": [
        {"meter": "pages", "threshold": 100, "used": 1000, "allowed": 1000},
        {"meter": "gpu-hours", "threshold": 80, "used": 8.5, "allowed": 10},
    ],
}
EXECUTION = COMMON | {
    "notice": "execution",
    "workflow": "Approve",
    "workflowId": "las:workflow:w",
    "executionId": "las:workflow-execution:e",
    "state": "Check",
    "error": "States.Timeout",
    "cause": "It took too long",
    "waits": True,
}


def composed(payload: dict[str, Any], code: str = "") -> EmailMessage:
    """As it arrives."""
    notice: Notice = msgspec.convert(payload, Notice)
    sent = compose(notice, sender="mill@example.com", message_id="<job@example.com>", date=WHEN, code=code)
    received = email.message_from_bytes(sent.as_bytes(), policy=email.policy.default)
    assert isinstance(received, EmailMessage)
    return received


def parts(message: EmailMessage) -> tuple[str, str]:
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content().replace("\r\n", "\n"), html.get_content()


@pytest.mark.parametrize(
    ("payload", "subject", "said"),
    [
        (TRAINING, "A training of Invoices has succeeded", ["First", "las:model-training:t", "las:model:m"]),
        (INVITATION, "You are invited to Acme", ["90 days", "Sign in"]),
        (INVITATION | {"url": None}, "You are invited to Acme", ["90 days", "where to sign in"]),
        (CODE, "Your code for a new password", ["20 minutes", "Enter the code"]),
        (CODE | {"purpose": "verify"}, "Your code to sign up", ["signed up", "works once"]),
        (ACCOUNT, "You have an account already", ["Sign in"]),
        (
            ACCOUNT | {"event": "password-changed"},
            "Your password was changed",
            ["signed out", "Choose a new password"],
        ),
        (LIMITS, "Acme has reached a limit of its plan", ["1000 of 1000 (100%)", "8.5 of 10 (85%)"]),
        (
            LIMITS | {"meters": LIMITS["meters"][1:]},  # type: ignore[index]
            "Acme comes close to a limit of its plan",
            ["8.5 of 10"],
        ),
        (
            EXECUTION,
            "An execution of Approve has failed",
            ["State: Check", "States.Timeout: It took"],
        ),
        (EXECUTION | {"waits": False}, "An execution of Approve has failed", ["It has ended"]),
        (EXECUTION | {"waits": True}, "An execution of Approve has failed", ["It waits for you"]),
    ],
)
def test_messages(payload: dict[str, Any], subject: str, said: list[str]) -> None:
    message = composed(payload)
    assert message["Subject"] == subject
    assert (message["From"], message["To"]) == ("mill@example.com", "ada@example.com")
    assert message["Message-ID"] == "<job@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    for content in parts(message):
        assert all(one in content for one in said), content


def test_every_kind_of_message_is_tested() -> None:
    tags = {one.__struct_config__.tag for one in get_args(Notice)}
    assert tags == {one["notice"] for one in (TRAINING, INVITATION, CODE, ACCOUNT, LIMITS, EXECUTION)}


def test_the_button_leads_where_the_link_does() -> None:
    text, html = parts(composed(INVITATION))
    assert "Sign in: https://app.example.com/login?a=1&b=2" in text
    assert 'href="https://app.example.com/login?a=1&amp;b=2"' in html


def test_a_code_stands_by_itself() -> None:
    acceptance = "https://mill.example.com/sign-in/invitation"
    for payload in (
        CODE,
        INVITATION,
        INVITATION | {"codeId": "1", "acceptanceUrl": acceptance},
        INVITATION | {"url": None, "codeId": "1", "acceptanceUrl": acceptance},
    ):
        text, html = parts(composed(payload, "0123-4567-89AB"))
        assert "\n    0123-4567-89AB\n" in text
        assert ">0123-4567-89AB</p>" in html
        assert "0123" not in str(composed(payload, "0123-4567-89AB")["Subject"])


def test_an_invitation_leads_to_the_app_or_to_where_the_code_is_entered() -> None:
    acceptance = "https://mill.example.com/sign-in/invitation"
    both = INVITATION | {"codeId": "1", "acceptanceUrl": acceptance}
    text, _ = parts(composed(both, "0123-4567-89AB"))
    assert "Sign in: https://app.example.com/login?a=1&b=2" in text
    assert "I have an invitation" in text
    text, _ = parts(composed(both | {"url": None}, "0123-4567-89AB"))
    assert f"Accept the invitation: {acceptance}" in text


def test_mail_about_an_account_is_no_organizations() -> None:
    text, _ = parts(composed(CODE, "0123-4567-89AB"))
    assert text.rstrip().endswith("Pagemill")


@pytest.mark.parametrize("status", [*STATUSES, "waiting-for-approval"])
def test_every_status_can_be_told(status: str) -> None:
    assert composed(TRAINING | {"status": status})["Subject"].startswith("A training of Invoices ")


@pytest.mark.parametrize(
    "name",
    [
        "Invoices\r\nBcc: everybody@example.com",
        "Invoices\n\n<script>alert(1)</script>",
        "\u2028Bcc: x@example.com\x00\x85",
        "Rechnungen für Ägypten 🧾" * 20,
        "",
        "=?utf-8?q?=0ABcc:_x@example.com?=",
        "$organization ${link}",
    ],
)
def test_names_stay_names(name: str) -> None:
    for payload in (
        TRAINING | {"model": name, "training": name, "organization": name},
        EXECUTION | {"workflow": name},
    ):
        message = composed(payload)
        assert message["Bcc"] is None
        assert set(message.keys()) == {
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "Auto-Submitted",
            "MIME-Version",
            "Content-Type",
        }
        assert "<script>" not in parts(message)[1]


@pytest.mark.parametrize(
    "to", ["ada@example.com\r\nBcc: x@example.com", "=?utf-8?q?=0ABcc:_x?=@b.de", "a@b.de, c@d.de"]
)
def test_an_invalid_address_is_refused(to: str) -> None:
    with pytest.raises(ValueError):
        composed(TRAINING | {"to": to})


@given(st.text())
def test_one_line_is_one_printable_line(text: str) -> None:
    line = one_line(text)
    assert len(line) <= 100
    assert line.isprintable()
