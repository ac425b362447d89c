"""A mail, as it came over SMTP and as the confined child has read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

Line: TypeAlias = Annotated[str, Meta(max_length=1000)]
"""A header without its line breaks."""
BODY_BYTES = 64 * 1024
"""The text of a mail is a part of an execution's input, which is bounded."""
MOST_DOCUMENTS = 50
"""Documents of one mail: they are stored, and their executions started, in one transaction."""
MOST_IGNORED = 20
"""Other attachments that are named in what is recorded."""

SpfResult: TypeAlias = Literal["pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"]
DkimResult: TypeAlias = Literal["pass", "fail", "neutral", "policy", "temperror", "permerror"]
"""``policy``: a valid signature that proves too little, by SHA-1 or of a part of the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A mail as it came: ``sender`` of MAIL FROM, and who sent it, by address and by its own word."""

    content: bytes
    sender: str
    client_address: str
    client_name: str


class ReadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Request to a child, before the bytes of the mail; without ``authenticate`` it asks no name server.

    ``name_servers`` are ``address:port``; without any, those of the machine are asked.
    """

    sender: str
    client_address: str
    client_name: str
    authenticate: bool
    name_servers: list[str] = []


class Spf(msgspec.Struct, frozen=True):
    """Result of SPF: may the machine send for the domain of MAIL FROM, or of EHLO without one."""

    result: SpfResult
    domain: Line


class Dkim(msgspec.Struct, frozen=True):
    """One signature of the mail, and the domain that answers for it."""

    result: DkimResult
    domain: Line


class Authentication(msgspec.Struct, frozen=True):
    """Results of SPF and DKIM; ``aligned`` when one of them proves the domain of the origin."""

    spf: Spf
    dkim: Annotated[list[Dkim], Meta(max_length=20)]
    aligned: bool


class Attachment(msgspec.Struct, frozen=True):
    """A PDF, JPEG, PNG or TIFF."""

    name: Line | None
    content: bytes


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """Contents of a mail. ``ignored`` names attachments that are no documents."""

    message_id: Line | None
    subject: Line
    origin: Annotated[str, Meta(max_length=512)]
    body: Annotated[str, Meta(max_length=BODY_BYTES)]
    documents: Annotated[list[Attachment], Meta(max_length=MOST_DOCUMENTS)]
    ignored: Annotated[list[Line], Meta(max_length=MOST_IGNORED)]
    authentication: Authentication | None = None


class ReadReply(msgspec.Struct, frozen=True, kw_only=True):
    """Reply of a child: a mail, or the problem with it."""

    mail: Mail | None = None
    problem: Line | None = None
