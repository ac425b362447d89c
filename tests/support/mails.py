"""Mails of tests, ordinary and nasty ones, as bytes with the line breaks of SMTP."""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
JPEG = b"\xff\xd8\xff\xe0" + bytes(20)
TIFF = b"II*\0" + bytes(20)
ZIP = b"PK\x03\x04" + bytes(20)

ADA = "ada@example.org"


def mail(
    *attachments: tuple[str, bytes],
    sender: str = ADA,
    subject: str = "Invoices",
    body: str = "Please pay.\n",
    message_id: str | None = "<1@example.org>",
    declared: str = "application/octet-stream",
) -> bytes:
    """A mail with attachments, each a name and its bytes."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = "mill@example.com"
    message["Subject"] = subject
    if message_id is not None:
        message["Message-ID"] = message_id
    message.set_content(body)
    for name, content in attachments:
        kind, _, subtype = declared.partition("/")
        message.add_attachment(content, maintype=kind, subtype=subtype, filename=name)
    return message.as_bytes()


def raw(*lines: str, body: Sequence[str] = ("",), sender: str = ADA) -> bytes:
    """A mail of these header lines, after a From, and of the lines of its body."""
    return "\r\n".join([f"From: {sender}", *lines, "", *body, ""]).encode("utf-8", "surrogateescape")


def nested(depth: int) -> bytes:
    """A mail whose parts are nested so deeply."""
    opening = [
        line
        for level in range(depth)
        for line in (f"Content-Type: multipart/mixed; boundary=b{level}", "", f"--b{level}")
    ]
    closing = [f"--b{level}--" for level in reversed(range(depth))]
    lines = [*opening, "Content-Type: text/plain", "", "at last", *closing]
    return "\r\n".join([f"From: {ADA}", "MIME-Version: 1.0", *lines, ""]).encode()


def forwarded(inner: bytes) -> bytes:
    """A mail to which another one is attached as it is."""
    return (
        raw("Content-Type: multipart/mixed; boundary=f", body=["--f", "Content-Type: message/rfc822", ""])
        + inner
        + b"\r\n--f--\r\n"
    )
