"""Parsing of mail: from bytes to its text and its documents. Pure, and run in a confined child only."""

from __future__ import annotations

import email
import email.errors
import email.header
import email.utils
import re
from collections.abc import Iterator
from email.message import Message
from email.policy import compat32
from typing import NamedTuple

from pagemill.content_types import SNIFFED_BYTES, sniff
from pagemill.mail_intake.mail import BODY_BYTES, MOST_DOCUMENTS, MOST_IGNORED, Attachment, Mail
from pagemill.mail_intake.refusals import MailUnreadable
from pagemill.storable_text import is_storable

MOST_HEADER_BYTES = 256 * 1024
MOST_HEADER_LINES = 2000
MOST_LINES = 1_000_000
"""The parser keeps an object for each; the largest mail has half as many when it is encoded as mails are."""
MOST_PARTS = 1000
MOST_DEPTH = 20
LONGEST_LINE = 1000
LONGEST_NAME = 255
DOCUMENT_TYPES = ("application/pdf", "image/jpeg", "image/png", "image/tiff")
ADDRESS = re.compile(r"[^\s<>@,;:\"()\[\]\\]{1,64}@[\w-]+(\.[\w-]+)*")
LONGEST_ADDRESS = 254
CONTROLS = {code: None for code in (*range(32), 127) if chr(code) not in "\t\n"}


class Part(NamedTuple):
    """A part without parts. ``in_text``: it belongs to a text, as the picture of a signature does.

    ``own``: it is not of a mail that is attached to this one.
    """

    message: Message
    in_text: bool
    own: bool


def parse_mail(content: bytes, *, sender: str) -> Mail:
    """Return what a mail says; ``sender`` is its origin when it names none. Raises MailUnreadable.

    It raises whatever else a malformed mail makes the parser raise.
    """
    _check_size(content)
    message = email.message_from_bytes(content, policy=compat32)
    texts: dict[str, str] = {}
    documents: list[Attachment] = []
    ignored: list[str] = []
    for part in _leaves(message):
        kind, name = part.message.get_content_type(), _file_name(part.message)
        attached = part.message.get_content_disposition() == "attachment"
        if kind in ("text/plain", "text/html") and name is None and not attached:
            if part.own:
                texts.setdefault(kind, _text_of(part.message))
            continue
        data = _bytes_of(part.message)
        found = _document_type(data)
        if found is None:
            ignored.append(_line(f"{name or 'without a name'} ({kind})"))
        elif not part.in_text or attached or found == "application/pdf":
            documents.append(Attachment(name, data))
    if len(documents) > MOST_DOCUMENTS:
        raise MailUnreadable(f"The mail has more than {MOST_DOCUMENTS} documents")
    return Mail(
        message_id=_line(_first(message, "message-id")) or None,
        subject=_line(_decoded(_first(message, "subject"))),
        origin=_origin(message) or valid_address(sender) or "",
        body=texts.get("text/plain") or texts.get("text/html") or "",
        documents=documents,
        ignored=ignored[:MOST_IGNORED],
    )


def valid_address(text: str) -> str | None:
    """Return the address if it has the form of one, and can be stored."""
    has_form = len(text) <= LONGEST_ADDRESS and ADDRESS.fullmatch(text) is not None
    return text if has_form and is_storable(text) else None


def _check_size(content: bytes) -> None:
    """Refuse what takes long, before the parser sees it."""
    if content.count(b"\n") > MOST_LINES:
        raise MailUnreadable("The mail has too many lines")
    headers = content[: MOST_HEADER_BYTES + 1].partition(b"\r\n\r\n")[0]
    if len(headers) > MOST_HEADER_BYTES or headers.count(b"\n") > MOST_HEADER_LINES:
        raise MailUnreadable("The mail has too many headers")


def _leaves(message: Message) -> Iterator[Part]:
    """Yield the parts without parts, in their order. Raises MailUnreadable for too many, or too deep ones."""
    stack = [(Part(message, in_text=False, own=True), 0)]
    count = 0
    while stack:
        part, depth = stack.pop()
        count += 1
        if depth > MOST_DEPTH or count > MOST_PARTS:
            raise MailUnreadable("The mail has too many parts, or they are nested too deeply")
        inner = part.message.get_payload()
        if not isinstance(inner, list):
            yield part
            continue
        related = part.message.get_content_type() == "multipart/related"
        own = part.own and part.message.get_content_maintype() == "multipart"
        below = [
            (Part(one, in_text=part.in_text or (related and number > 0), own=own), depth + 1)
            for number, one in enumerate(inner)
            if isinstance(one, Message)
        ]
        stack.extend(reversed(below))


def _document_type(data: bytes) -> str | None:
    found = sniff(data[:SNIFFED_BYTES])
    return found if found in DOCUMENT_TYPES else None


def _bytes_of(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _text_of(part: Message) -> str:
    """Return a text part; bytes that its character set does not have are replaced."""
    data = _bytes_of(part)[: 4 * BODY_BYTES]
    text = _clean(_decode(data, part.get_content_charset()).replace("\r\n", "\n").replace("\r", "\n"))
    return text.encode()[:BODY_BYTES].decode(errors="ignore")


def _origin(message: Message) -> str | None:
    """Return the first address of From. Raises MailUnreadable when there is more than one From."""
    given = [value for name, value in message.raw_items() if name.lower() == "from"]
    if len(given) > 1:
        raise MailUnreadable("The mail has more than one From")
    parsed = email.utils.getaddresses([_bare(value) for value in given])
    return next((address for _, one in parsed if (address := valid_address(one)) is not None), None)


def _first(message: Message, name: str) -> str:
    return next((_bare(value) for one, value in message.raw_items() if one.lower() == name), "")


def _bare(value: str) -> str:
    """Return a header's value with its bytes read as UTF-8: the parser keeps them as surrogates."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _decoded(value: str) -> str:
    """Return a header's value with its encoded words decoded."""
    try:
        pieces = email.header.decode_header(value)
    except email.errors.HeaderParseError:
        return value
    return "".join(
        _decode(piece, charset or "raw-unicode-escape") if isinstance(piece, bytes) else piece
        for piece, charset in pieces
    )


def _decode(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "utf-8", "replace")
    except (LookupError, UnicodeError, ValueError):
        return data.decode("utf-8", "replace")


def _file_name(part: Message) -> str | None:
    """Return the last part of an attachment's name."""
    name = part.get_filename()
    if name is None:
        return None
    return _line(re.split(r"[/\\]", _decoded(_bare(name)))[-1])[:LONGEST_NAME] or None


def _line(text: str) -> str:
    return " ".join(_clean(text).split())[:LONGEST_LINE]


def _clean(text: str) -> str:
    """Return text that every part of the platform can store: no control characters, no lone surrogates."""
    return text.translate(CONTROLS).encode("utf-8", "replace").decode()
