"""Nothing that a child sends is believed: what no honest child sends is one document's failure."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import pytest

from pagemill.errors import DocumentUnreadable, Unavailable
from pagemill.extraction.reading import process
from pagemill.extraction.reading.process import ChildDocument
from pagemill.extraction.reading.read_messages import (
    DocumentInfo,
    ParsedPage,
    Picture,
    ReadFailure,
    ReadLimits,
    RenderedPage,
)
from pagemill.extraction.reading.shared_pixels import shared_memory
from pagemill.extraction.types import ReadOptions, Word
from pagemill.sandbox.forked_child import Ending, ForkedChild, ForkServer
from pagemill.sandbox.framing import frame

PLAIN = ReadOptions()
LIMITS = ReadLimits(
    page_pixels=100, pictures_per_page=3, words_per_page=2, page_seconds=5.0, document_seconds=10.0
)
INVALID = "The document is damaged: its reader sent an invalid reply"
WORD = Word("word", 0.1, 0.1, 0.2, 0.2)


class PretendServer(ForkServer):
    """Has no process: its children are played by the test."""

    def __init__(self, ending: Ending | None = None) -> None:
        self.ending = ending

    def end_child(self, process_id: int) -> Ending:
        if self.ending is None:
            raise OSError("the fork server has failed")
        return self.ending


Pretend = Callable[..., ChildDocument]


@pytest.fixture
def document() -> Iterator[Pretend]:
    """A document whose child sends these bytes or messages, and then perhaps ends."""
    opened: list[socket.socket] = []
    with shared_memory(LIMITS.shared_bytes) as descriptor:

        def pretend(
            *sent: object, status: int | None = 0, gone: bool = False, limits: ReadLimits = LIMITS
        ) -> ChildDocument:
            ours, theirs = socket.socketpair()
            opened.extend((ours, theirs))
            for one in sent:
                theirs.sendall(one if isinstance(one, bytes) else frame(msgspec.msgpack.encode(one)))
            if gone:
                theirs.shutdown(socket.SHUT_WR)
            ending = Ending(status, 0.0) if status is not None else None
            return ChildDocument(ForkedChild(PretendServer(ending), ours, 1), descriptor, limits)

        yield pretend
    for one in opened:
        one.close()


def page(**changes: object) -> ParsedPage:
    return msgspec.structs.replace(ParsedPage(0, 1.5, 0), **changes)


def test_an_honest_page_is_accepted(document: Pretend) -> None:
    sent = page(words=[WORD, WORD], pictures=[Picture(0, 10, 5), Picture(150, 1, 50, (0.1, 0.2, 0.3, 0.4))])
    assert document(sent).parse_page(0, PLAIN) == sent


@pytest.mark.parametrize(
    "sent",
    [
        page(index=1),
        page(aspect=0.0),
        page(aspect=-1.0),
        page(aspect=math.nan),
        page(aspect=math.inf),
        page(rotation=45),
        page(words=[WORD] * 3),
        page(words=[Word("", 0.1, 0.1, 0.2, 0.2)]),
        page(words=[Word("beyond", 0.1, 0.1, 1.1, 0.2)]),
        page(words=[Word("before", -0.1, 0.1, 0.2, 0.2)]),
        page(words=[Word("inside out", 0.3, 0.1, 0.2, 0.2)]),
        page(words=[Word("nan", math.nan, 0.1, 0.2, 0.2)]),
        page(words=[Word("sure", 0.1, 0.1, 0.2, 0.2, 1.5)]),
        page(words=[Word("unsure", 0.1, 0.1, 0.2, 0.2, math.nan)]),
        page(pictures=[Picture(0, 0, 5)]),
        page(pictures=[Picture(0, 5, -5)]),
        page(pictures=[Picture(0, -5, -5)]),
        page(pictures=[Picture(-1, 5, 5)]),
        page(pictures=[Picture(0, 10, 11)]),
        page(pictures=[Picture(1, 10, 10)]),
        page(pictures=[Picture(2**62, 1, 1)]),
        page(pictures=[Picture(0, 2**40, 2**20)]),
        page(pictures=[Picture(0, 10, 10)] * 2),
        page(pictures=[Picture(0, 1, 1)] * 4),
        page(pictures=[Picture(0, 1, 1, (0.0, 0.0, 2.0, 1.0))]),
        page(pictures=[Picture(0, 1, 1, (0.5, 0.0, 0.5, 1.0))]),
        page(pictures=[Picture(0, 1, 1, (0.0, math.nan, 1.0, 1.0))]),
        DocumentInfo("application/pdf", 1),
        RenderedPage(Picture(0, 1, 1)),
        {"type": "unknown"},
        {"type": "parsed"},
        frame(b""),
        frame(b"\xff" * 100),
        frame(msgspec.msgpack.encode({"type": "parsed", "index": 0, "aspect": 1, "rotation": 0, "words": 5})),
        (process.REPLY_BYTES + 1).to_bytes(4, "big") + bytes(1000),
    ],
    ids=repr,
)
def test_a_page_that_no_honest_child_sends_is_refused(document: Pretend, sent: object) -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        document(sent).parse_page(0, PLAIN)
    assert caught.value.message == INVALID


@pytest.mark.parametrize("picture", [Picture(0, 10, 11), Picture(-1, 1, 1), Picture(0, 0, 0)], ids=repr)
def test_a_rendering_outside_of_the_memory_is_refused(document: Pretend, picture: Picture) -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        document(RenderedPage(picture)).render_page(0, PLAIN)
    assert caught.value.message == INVALID


@pytest.mark.parametrize("picture", [Picture(0, 2201, 2201), Picture(0, 1, 30_001)], ids=repr)
def test_pictures_larger_than_pages_are_rendered_are_refused(document: Pretend, picture: Picture) -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        document(page(pictures=[picture]), limits=ReadLimits()).parse_page(0, PLAIN)
    assert caught.value.message == INVALID


def test_memory_that_was_cut_short_is_refused(document: Pretend) -> None:
    picture = Picture(0, 10, 10)
    honest = document(page(pictures=[picture]))
    parsed = honest.parse_page(0, PLAIN)
    os.ftruncate(honest._descriptor, 200)
    with pytest.raises(DocumentUnreadable) as caught:
        honest.pixels(parsed.pictures[0])
    assert caught.value.message == INVALID


def test_pixels_do_not_change_after_they_were_copied(document: Pretend) -> None:
    picture = Picture(30, 2, 2)
    honest = document(RenderedPage(picture))
    os.pwrite(honest._descriptor, bytes(range(12)), 30)
    pixels = honest.render_page(0, PLAIN)
    os.pwrite(honest._descriptor, bytes(12), 30)
    assert np.array_equal(pixels.reshape(-1), np.arange(12))


def test_documents_without_pages_or_with_too_many_are_no_honest_answer(document: Pretend) -> None:
    for number_of_pages in (0, -1, LIMITS.pages + 1):
        with pytest.raises(DocumentUnreadable) as caught:
            document(DocumentInfo("application/pdf", number_of_pages)).open(b"content")
        assert caught.value.message == INVALID


def test_only_known_content_types_are_believed(document: Pretend) -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        document(DocumentInfo("text/html", 1)).open(b"content")
    assert caught.value.message == INVALID


def test_a_failure_is_told_with_its_detail(document: Pretend) -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        document(ReadFailure("The PDF is encrypted", "PdfiumError")).open(b"content")
    assert (caught.value.message, caught.value.detail) == ("The PDF is encrypted", "PdfiumError")


def test_a_failure_is_cut_to_a_sentence(document: Pretend) -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        document(ReadFailure("x" * 5000, "y" * 5000)).open(b"content")
    assert len(caught.value.message) == process.MOST_MESSAGE
    assert caught.value.detail is not None
    assert len(caught.value.detail) == process.MOST_MESSAGE


@pytest.mark.parametrize(
    ("status", "how"), [(-11, "it ended with SIGSEGV"), (1, "it ended with status 1"), (0, "it ended with")]
)
@pytest.mark.parametrize("sent", [b"", b"\0\0", b"\0\0\1\0half"], ids=["silent", "header", "half"])
def test_the_operator_learns_how_a_child_ended(document: Pretend, status: int, how: str, sent: bytes) -> None:
    with pytest.raises(DocumentUnreadable) as caught:
        document(sent, status=status, gone=True).open(b"content")
    assert caught.value.message == "The document is damaged, or needs more memory to read than is allowed"
    assert str(caught.value.detail).startswith(f"its reader failed: {how}")


def test_the_end_of_the_fork_server_is_no_fault_of_the_document(document: Pretend) -> None:
    with pytest.raises(Unavailable) as caught:
        document(status=None, gone=True).open(b"content")
    assert caught.value.message == "The document reader is not available"


def test_a_silent_child_takes_too_long(document: Pretend) -> None:
    limits = msgspec.structs.replace(LIMITS, page_seconds=0.05)
    with pytest.raises(DocumentUnreadable) as caught:
        document(limits=limits).open(b"content")
    assert caught.value.message == "A page took longer than 0.05 seconds to read"


def test_a_child_that_reads_nothing_takes_too_long(document: Pretend) -> None:
    limits = msgspec.structs.replace(LIMITS, document_seconds=0.05)
    with pytest.raises(DocumentUnreadable) as caught:
        document(limits=limits).open(bytes(10_000_000))
    assert caught.value.message == "The document took longer than 0.05 seconds to read"


def test_each_page_has_its_own_time_and_all_share_that_of_the_document(
    document: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(process.time, "monotonic", lambda: now[0])
    reading = document(page(), page(index=1), page(index=2))
    for index in range(2):
        reading.parse_page(index, PLAIN)
        now[0] += 4.9
        reading.check_time()
    reading.parse_page(2, PLAIN)
    now[0] += 0.3
    with pytest.raises(DocumentUnreadable, match="The document took longer than 10 seconds to read"):
        reading.check_time()
