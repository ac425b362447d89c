"""What the reader and its child say to each other: length-prefixed msgpack on a socket pair."""

from __future__ import annotations

import socket

import msgspec

from pagemill.extraction.types import Page, ReadOptions
from pagemill.sandbox.framing import receive_message, send_message

MEBIBYTE = 1024 * 1024


class ReadLimits(msgspec.Struct, frozen=True):
    """The bounds within which one document is parsed."""

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
    """What a document is, without reading its pages."""

    content_type: str
    number_of_pages: int


class Start(msgspec.Struct, frozen=True, tag="start"):
    """The first message to a child."""

    limits: ReadLimits


class InspectRequest(msgspec.Struct, frozen=True, tag="inspect"):
    """Answered by DocumentInfo or Failure."""

    content: bytes


class ReadRequest(msgspec.Struct, frozen=True, tag="read"):
    """Answered by DocumentInfo, a PageRead for each page, then Done; or Failure at any point."""

    content: bytes
    page_indexes: list[int]
    options: ReadOptions


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The child is up, bounded, and waits for documents."""


class PageRead(msgspec.Struct, frozen=True, tag="page"):
    """One page of the document that is being read."""

    page: Page


class Done(msgspec.Struct, frozen=True, tag="done"):
    """Every page that was asked for has been sent."""


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """The document cannot be read, and why, for the client; after a fatal one the child is spent."""

    message: str
    fatal: bool = False


Request = Start | InspectRequest | ReadRequest
Reply = Ready | DocumentInfo | PageRead | Done | Failure

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
