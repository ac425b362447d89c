"""Messages between the reader and its child process."""

from __future__ import annotations

import socket

import msgspec

from pagemill.extraction.types import Page, ReadOptions
from pagemill.sandbox.framing import receive_message, send_message

MEBIBYTE = 1024 * 1024


class ReadLimits(msgspec.Struct, frozen=True):
    """Limits for one document."""

    memory_bytes: int = 4096 * MEBIBYTE
    content_bytes: int = 64 * MEBIBYTE
    pages: int = 2000
    pixels: int = 40_000_000
    words_per_page: int = 20_000
    page_seconds: float = 60.0
    document_seconds: float = 600.0
    start_seconds: float = 60.0
    documents_per_child: int = 200


class DocumentInfo(msgspec.Struct, frozen=True, tag="info"):
    """The type of a document and the number of its pages."""

    content_type: str
    number_of_pages: int


class Start(msgspec.Struct, frozen=True, tag="start"):
    """First message to a child: the limits of its documents."""

    limits: ReadLimits


class InspectRequest(msgspec.Struct, frozen=True, tag="inspect"):
    """Request for a DocumentInfo; answered by that or a ReadFailure."""

    content: bytes


class ReadRequest(msgspec.Struct, frozen=True, tag="read"):
    """Request for pages; answered by DocumentInfo, a PageRead for each page, and AllPagesRead.

    A ReadFailure at any point ends the answer.
    """

    content: bytes
    page_indexes: list[int]
    options: ReadOptions


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """First message of a child: it is confined and waits for documents."""


class PageRead(msgspec.Struct, frozen=True, tag="page"):
    """One page of the document that is being read."""

    page: Page


class AllPagesRead(msgspec.Struct, frozen=True, tag="done"):
    """End of an answer: every requested page has been sent."""


class ReadFailure(msgspec.Struct, frozen=True, tag="failure"):
    """Error message for the client; after a fatal one the child cannot be used again."""

    message: str
    fatal: bool = False


Request = Start | InspectRequest | ReadRequest
Reply = Ready | DocumentInfo | PageRead | AllPagesRead | ReadFailure

_request_decoder: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_reply_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
_encoder = msgspec.msgpack.Encoder()


def send(connection: socket.socket, message: Request | Reply) -> None:
    """Send a message; the socket's timeout bounds the whole of it."""
    send_message(connection, _encoder.encode(message))


def receive_request(connection: socket.socket) -> Request:
    """Return the next request. Raises EOFError when the parent is gone."""
    return _request_decoder.decode(receive_message(connection))


def decode_reply(payload: bytes | bytearray) -> Reply:
    """Return the reply in a payload. Raises msgspec.DecodeError when it is none."""
    return _reply_decoder.decode(payload)
