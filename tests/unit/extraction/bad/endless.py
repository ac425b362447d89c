"""Small documents that take minutes to read, or more memory than there is."""

from __future__ import annotations

from collections.abc import Iterator

from tests.unit.extraction.bad.case import BadDocument
from tests.unit.extraction.bad.images import blank
from tests.unit.extraction.bad.pdf_resources import resized_jpeg
from tests.unit.extraction.bad.pdf_writer import (
    FIRST_FREE,
    HEADING,
    MEDIA_BOX,
    blanks,
    deflated,
    form,
    page_pdf,
    stream,
)
from tests.unit.extraction.documents import encoded

FORMS = b"/XObject << /X6 6 0 R >>"
GROUP = b"/Group << /S /Transparency /I true /K true >>"


def endless() -> Iterator[BadDocument]:
    """Return all of them."""
    yield BadDocument("rectangles", page_pdf(deflated(b"0 0 400 300 re f " * 1_000_000)))
    yield BadDocument("long-path", page_pdf(deflated(b"0 0 m " + b"400 300 l 0 9 l " * 1_000_000 + b"S")))
    yield BadDocument("billion-laughs", laughing(12, 10))
    yield BadDocument("transparent-laughs", laughing(12, 4, GROUP))
    back = form(b"/X6 Do /X6 Do ", 6)
    yield BadDocument("calls-back", page_pdf(stream(b"/X6 Do"), form(b"/X7 Do ", 7), back, resources=FORMS))
    yield BadDocument("annotations", annotated(200_000))
    packed = stream(blanks(60), b"/Filter /FlateDecode")
    often = MEDIA_BOX + b" /Contents [%s]" % (b"4 0 R " * 2000)
    yield BadDocument("contents", page_pdf(packed, page=often))
    yield BadDocument("layer-expression", layered())
    steps = b"/BBox [0 0 1 1] /XStep 0.0001 /YStep 0.0001 /Resources << >>"
    tiled = b"/PatternType 1 /PaintType 1 /TilingType 1 " + steps
    tile, filled = stream(b"0 0 1 1 re f", tiled), stream(b"/Pattern cs /P scn 0 0 400 300 re f")
    yield BadDocument("pattern", page_pdf(filled, tile, resources=b"/Pattern << /P 6 0 R >>"))
    progressive = encoded(blank(), "JPEG", progressive=True)
    scan = progressive[progressive.index(b"\xff\xda") : -2]
    yield BadDocument("scans", resized_jpeg(progressive[:-2] + scan * 20_000, 6000, 6000))


def laughing(levels: int, times: int, entries: bytes = b"") -> bytes:
    """Forms that each call the next one several times."""
    following = range(FIRST_FREE + 1, FIRST_FREE + 1 + levels)
    calling = [form(b"/X%d Do " % number * times, number, entries=entries) for number in following]
    last = form(b"0 0 9 9 re f " + HEADING)
    return page_pdf(stream(b"/X6 Do " + HEADING), *calling, last, resources=FORMS)


def annotated(times: int) -> bytes:
    """A page that shows the same annotation very often."""
    looped = form(b"/X7 Do", 7)
    note = b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (a) /V (b) /Rect [9 9 99 99] /AP << /N 7 0 R >> >>"
    listed = MEDIA_BOX + b" /Annots [%s]" % (b"6 0 R " * times)
    return page_pdf(stream(HEADING), note, looped, page=listed)


def layered() -> bytes:
    """A layer that is shown if an expression holds, which consists of itself twice."""
    marked = stream(b"/OC /L BDC 0 0 99 99 re f EMC")
    hidden = b"/OCProperties << /OCGs [8 0 R] /D << /OFF [8 0 R] >> >>"
    return page_pdf(
        marked,
        b"<< /Type /OCMD /VE 7 0 R >>",
        b"[/And 7 0 R 7 0 R]",
        b"<< /Type /OCG /Name (a) >>",
        resources=b"/Properties << /L 6 0 R >>",
        catalogue=hidden,
    )
