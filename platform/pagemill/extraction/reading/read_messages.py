"""Messages between the reader and a child: the parent opens one document and then asks for its pages.

Open is answered by DocumentInfo, ParsePage by ParsedPage, RenderPage by RenderedPage, each perhaps by
ReadFailure, after which the child is of no more use. Pixels lie in memory that both share.
"""

from __future__ import annotations

import socket

import msgspec

from pagemill.extraction.types import ReadOptions, Word
from pagemill.rotation import Rotation
from pagemill.sandbox.framing import receive_message, send_message

MEBIBYTE = 1024 * 1024
CHANNELS = 3

Box = tuple[float, float, float, float]
WHOLE_PAGE: Box = (0.0, 0.0, 1.0, 1.0)


class ReadLimits(msgspec.Struct, frozen=True):
    """Limits for one document.

    ``pixels`` is that of an image as it is stored, ``page_pixels`` of all that is recognised on a page.
    """

    memory_bytes: int = 2048 * MEBIBYTE
    content_bytes: int = 64 * MEBIBYTE
    pages: int = 2000
    pixels: int = 40_000_000
    page_pixels: int = 16_000_000
    pictures_per_page: int = 32
    samples_per_page: int = 32
    words_per_page: int = 20_000
    page_seconds: float = 60.0
    document_seconds: float = 600.0
    start_seconds: float = 60.0

    @property
    def shared_bytes(self) -> int:
        """The size of the memory that holds the pixels of a page."""
        return self.page_pixels * CHANNELS

    @property
    def too_many_pages(self) -> str:
        """The message for a document that has more pages than are allowed."""
        return f"The document has more than {self.pages} pages"


class Open(msgspec.Struct, frozen=True, tag="open"):
    """First message to a child: the bytes of its document, and the limits that it reads within."""

    content: bytes
    limits: ReadLimits


class ParsePage(msgspec.Struct, frozen=True, tag="parse"):
    """Request for what a page holds."""

    index: int
    options: ReadOptions


class RenderPage(msgspec.Struct, frozen=True, tag="render"):
    """Request for a page as a person sees it; ``options.auto_rotate`` does not apply."""

    index: int
    options: ReadOptions


class DocumentInfo(msgspec.Struct, frozen=True, tag="info"):
    """The type of a document and the number of its pages."""

    content_type: str
    number_of_pages: int


class Picture(msgspec.Struct, frozen=True):
    """Pixels of a part of a page: RGB rows that begin at a byte of the shared memory, and their box."""

    offset: int
    width: int
    height: int
    box: Box = WHOLE_PAGE

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.width * self.height * CHANNELS


class Sample(msgspec.Struct, frozen=True):
    """A word of a text layer, what is seen in its place, and the number of the doubt that it is to settle.

    ``is_sharp``: the picture shows glyphs of a font, not an image.
    """

    doubt: int
    text: str
    picture: Picture
    is_sharp: bool = True


class ParsedPage(msgspec.Struct, frozen=True, tag="parsed"):
    """A page turned clockwise by ``rotation``: words of its text layer, and pictures to be recognised.

    A page without a text layer is one picture. ``doubts`` are numbers of reasons why words may not be what is
    seen, the same ones throughout the document; ``samples`` tell more about those that are new.
    """

    index: int
    aspect: float
    rotation: Rotation
    words: list[Word] = []
    pictures: list[Picture] = []
    doubts: list[int] = []
    samples: list[Sample] = []


class RenderedPage(msgspec.Struct, frozen=True, tag="rendered"):
    """A page as a person sees it."""

    picture: Picture


class ReadFailure(msgspec.Struct, frozen=True, tag="failure"):
    """Reason for the client, and what the parser said for the operator."""

    message: str
    detail: str | None = None


Request = Open | ParsePage | RenderPage
Reply = DocumentInfo | ParsedPage | RenderedPage | ReadFailure

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
