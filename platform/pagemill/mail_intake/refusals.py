"""Refusals of mail, each with its SMTP reply: 4xx lets the sender try again, 5xx tells its writer."""

from __future__ import annotations

from typing import ClassVar

from pagemill.errors import PagemillError

UNAVAILABLE = "451 4.3.0 Temporarily not available, try again later"
TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients"
TOO_MANY_UNKNOWN = "421 4.7.0 Too many unknown recipients"
UNKNOWN = "550 5.1.1 No such address"


class MailRefused(PagemillError):
    """A mail is not taken; ``code`` begins the reply, and the sender sees the message behind it."""

    code: ClassVar[str] = "554 5.6.0"
    text: ClassVar[str] = "The mail cannot be taken"

    def __init__(self, message: str | None = None, *, detail: str | None = None) -> None:
        super().__init__(message or self.text, detail=detail)

    @property
    def reply(self) -> str:
        """Return the SMTP reply, one line of ASCII."""
        text = " ".join(self.message.encode("ascii", "replace").decode().split())
        return f"{self.code} {text}"

    @property
    def is_temporary(self) -> bool:
        """Return whether the sender tries again."""
        return self.code.startswith("4")


class MailUnreadable(MailRefused):
    """A mail is malformed, nested too deeply, or takes more to read than is allowed."""


class AddressGivenUp(MailRefused):
    """The address was a workflow's until now."""

    code = "550 5.1.1"
    text = "No such address"


class TooLarge(MailRefused):
    """The mail has more bytes than are taken."""

    code = "552 5.3.4"
    text = "The mail is too large"


class Busy(MailRefused):
    """Too much is being received at this time."""

    code = "452 4.3.1"
    text = "Too much mail is coming in, try again later"


class NotAuthenticated(MailRefused):
    """Neither SPF nor DKIM proves the domain of the sender, and the operator asks for that."""

    code = "550 5.7.1"
    text = "Neither SPF nor DKIM proves the domain of the sender"


class AuthenticationUnanswered(MailRefused):
    """The name servers that would prove the sender's domain do not answer."""

    code = "451 4.7.5"
    text = "The name servers of the sender's domain do not answer"


class CredentialsUnusable(MailRefused):
    """The secret of the workflow has no credentials that may start executions; somebody can mend that."""

    code = "451 4.3.5"
    text = "The credentials of this address cannot be used"


class OverLimit(MailRefused):
    """The plan allows no more: as with a full mailbox, the sender tries again for some days."""

    code = "452 4.2.2"
    text = "The plan allows no more"
