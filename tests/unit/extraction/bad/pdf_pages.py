"""PDFs with a page that has no end or no sensible size."""

from __future__ import annotations

from collections.abc import Iterator

from tests.unit.extraction.bad.case import BadDocument, readable
from tests.unit.extraction.bad.pdf_writer import (
    FIRST_FREE,
    HEADING,
    MEDIA_BOX,
    WORDS,
    blanks,
    deflated,
    form,
    page_pdf,
    stream,
)

BOXES = {
    "zero": b"[0 0 0 0]",
    "line": b"[0 0 400 0]",
    "negative": b"[0 0 -400 -300]",
    "inverted": b"[400 300 0 0]",
    "tiny": b"[0 0 0.0001 0.0001]",
    "thin": b"[0 0 14400 0.01]",
    "not-a-number": b"[nan nan inf -inf]",
    "strings": b"[(a) (b) (c) (d)]",
    "short": b"[0 0 400]",
    "huge": b"[0 0 1e30 1e30]",
    "digits": b"[0 0 %s %s]" % (b"9" * 400, b"9" * 400),
    "far": b"[99999999 99999999 100000399 100000299]",
    "number": b"7",
    "largest": b"[0 0 14400 14400]",
    "strip": b"[0 0 14400 100]",
}


def pages() -> Iterator[BadDocument]:
    """Return all of them."""
    yield from sizes()
    yield from contents()
    yield from forms()
    yield from paints()
    yield from annotations()
    yield from layers()


def sizes() -> Iterator[BadDocument]:
    for name, box in BOXES.items():
        yield BadDocument(f"box-{name}", page_pdf(page=b"/MediaBox " + box))
        yield BadDocument(f"box-{name}-scan", page_pdf(stream(b"0 0 10 10 re f"), page=b"/MediaBox " + box))
    for name, entries in (
        ("crop-outside", b"/CropBox [1000 1000 2000 2000]"),
        ("crop-tiny", b"/CropBox [0 0 0.001 0.001]"),
        ("rotate-odd", b"/Rotate 37"),
        ("rotate-huge", b"/Rotate 2147483640"),
        ("unit-huge", b"/UserUnit 1e30"),
        ("unit-negative", b"/UserUnit -1"),
        ("unit-nan", b"/UserUnit nan"),
    ):
        yield BadDocument(name, page_pdf(page=MEDIA_BOX + b" " + entries))


def contents() -> Iterator[BadDocument]:
    yield BadDocument("content-deep-q", page_pdf(deflated(b"q " * 2_000_000 + HEADING)))
    yield BadDocument("content-deep-text", page_pdf(deflated(b"BT " * 1_000_000 + HEADING)))
    yield BadDocument("content-deep-marks", page_pdf(deflated(b"/P << /MCID 0 >> BDC " * 100_000 + HEADING)))
    yield BadDocument("content-unmatched-Q", page_pdf(deflated(b"Q " * 2_000_000 + HEADING)))
    yield BadDocument("content-clips", page_pdf(deflated(b"0 0 m 9 9 l 400 3 l h W n " * 200_000 + HEADING)))
    yield BadDocument("content-dashes", page_pdf(stream(b"[0.00001 0.00001] 0 d 9 w 0 0 m 400 300 l S")))
    yield BadDocument("content-dash-negative", page_pdf(stream(b"[-1 0 nan] 0 d 9 w 0 0 m 400 300 l S")))
    yield BadDocument("content-line-width", page_pdf(stream(b"1e30 w 0 0 m 400 300 l S")))
    yield BadDocument(
        "content-numbers", page_pdf(stream(b"1e38 1e38 1e38 1e38 1e38 1e38 cm " * 50 + HEADING))
    )
    yield BadDocument("content-no-scale", page_pdf(stream(b"0 0 0 0 0 0 cm " + HEADING)))
    yield BadDocument("content-operands", page_pdf(deflated(b"1 " * 3_000_000 + HEADING)))
    yield BadDocument("content-unknown-operators", page_pdf(deflated(b"zz yy xx " * 500_000 + HEADING)))
    yield BadDocument(
        "content-letters", page_pdf(deflated(b"BT /F1 9 Tf 9 9 Td " + b"(abcdefghij) Tj " * 20_000 + b"ET"))
    )
    yield BadDocument(
        "content-one-string", page_pdf(deflated(b"BT /F1 9 Tf (" + b"ab " * 1_000_000 + b") Tj ET"))
    )
    yield BadDocument("content-bomb", page_pdf(stream(blanks(900), b"/Filter /FlateDecode")))
    yield BadDocument(
        "content-nested-bomb", page_pdf(stream(blanks(900, 2), b"/Filter [/FlateDecode /FlateDecode]"))
    )
    yield BadDocument(
        "content-inline-image",
        page_pdf(stream(b"BI /W 100000 /H 100000 /BPC 8 /CS /RGB ID abc EI " + HEADING)),
    )
    yield BadDocument("content-inline-endless", page_pdf(stream(b"BI /W 1 /H 1 /BPC 8 ID " * 5000)))
    yield readable("content-cut", page_pdf(stream(HEADING + b"BT /F1 20 Tf (never closed")), *WORDS)
    yield readable("content-binary-behind", page_pdf(stream(HEADING + bytes(range(256)))), *WORDS)
    yield BadDocument(
        "content-text-size", page_pdf(stream(b"BT /F1 1e30 Tf 40 250 Td (Invoice Heading) Tj ET"))
    )
    yield BadDocument(
        "content-text-size-zero", page_pdf(stream(b"BT /F1 0 Tf 40 250 Td (Invoice Heading) Tj ET"))
    )
    yield BadDocument(
        "content-text-spacing",
        page_pdf(stream(b"BT /F1 9 Tf 1e30 Tc -1e30 Tw nan Tz (a b c d e f g h) Tj ET")),
    )


def forms() -> Iterator[BadDocument]:
    """Forms that call one another."""
    named = b"/XObject << /X6 6 0 R >>"
    start = stream(b"/X6 Do " + HEADING)
    yield BadDocument("form-calls-itself", page_pdf(start, form(b"/X6 Do ", 6), resources=named))
    following = range(FIRST_FREE + 1, FIRST_FREE + 2001)
    chain = [form(b"/X%d Do " % number, number) for number in following]
    yield BadDocument("form-long-chain", page_pdf(start, *chain, form(HEADING), resources=named))
    mask = b"<< /Type /ExtGState /SMask << /S /Luminosity /G 7 0 R >> >>"
    shown = b"/G gs 0 0 400 300 re f "
    states = b"/ExtGState << /G 6 0 R >>"
    masked = stream(
        shown,
        b"/Type /XObject /Subtype /Form /BBox [0 0 400 300] /Group << /S /Transparency >> /Resources << %s >>"
        % states,
    )
    yield BadDocument(
        "form-mask-of-itself", page_pdf(stream(shown + HEADING), mask, masked, resources=states)
    )


TILING = b"/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 "
WIDGET = b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (a) "
LISTED = MEDIA_BOX + b" /Annots [6 0 R]"
FIELDS = b"/AcroForm << /Fields [6 0 R] /NeedAppearances true /DR << /Font << /F1 5 0 R >> >> >>"


def paints() -> Iterator[BadDocument]:
    """Patterns, shadings and functions."""
    filled = stream(b"/Pattern cs /P scn 0 0 400 300 re f " + HEADING)
    named = b"/Pattern << /P 6 0 R >>"
    tiny = stream(
        b"0 0 1 1 re f",
        TILING + b"/BBox [0 0 1 1] /XStep 0.0001 /YStep 0.0001 /Resources << >>",
    )
    yield BadDocument("pattern-tiny-steps", page_pdf(filled, tiny, resources=named))
    still = stream(
        b"0 0 1 1 re f",
        TILING + b"/BBox [0 0 1 1] /XStep 0 /YStep 0 /Resources << >>",
    )
    yield BadDocument("pattern-no-steps", page_pdf(filled, still, resources=named))
    inside = stream(
        b"/Pattern cs /P scn 0 0 9 9 re f",
        TILING + b"/BBox [0 0 9 9] /XStep 9 /YStep 9 /Resources << /Pattern << /P 6 0 R >> >>",
    )
    yield BadDocument("pattern-of-itself", page_pdf(filled, inside, resources=named))
    shaded = b"<< /PatternType 2 /Shading << /ShadingType %d /ColorSpace /DeviceRGB %s >> >>"
    for kind, entries in (
        (1, b"/Function 7 0 R /Domain [0 1e30 0 1e30]"),
        (2, b"/Coords [0 0 0 0] /Function 7 0 R /Extend [true true]"),
        (3, b"/Coords [0 0 1e30 1e30 0 -1] /Function 7 0 R"),
        (4, b"/BitsPerCoordinate 99 /BitsPerComponent 99 /Decode [0 1]"),
    ):
        loop = b"<< /FunctionType 3 /Domain [0 1] /Functions [7 0 R 7 0 R] /Bounds [0.5] /Encode [0 1 0 1] >>"
        yield BadDocument(
            f"shading-{kind}", page_pdf(filled, shaded % (kind, entries), loop, resources=named)
        )
    patches = deflated(
        bytes(range(256)) * 20_000,
        b"/ShadingType 7 /ColorSpace /DeviceRGB /BitsPerCoordinate 8 /BitsPerComponent 8 /BitsPerFlag 8 "
        b"/Decode [0 400 0 300 0 1 0 1 0 1]",
    )
    yield BadDocument(
        "shading-patches",
        page_pdf(stream(b"/S sh " + HEADING), patches, resources=b"/Shading << /S 6 0 R >>"),
    )
    script = stream(b"{ " + b"{ " * 100_000 + b"}" * 100_001, b"/FunctionType 4 /Domain [0 1] /Range [0 1]")
    tinted = b"[/Separation /Spot /DeviceGray 7 0 R]"
    yield BadDocument(
        "function-deep",
        page_pdf(
            stream(b"/C cs 0.5 scn 0 0 9 9 re f " + HEADING),
            tinted,
            script,
            resources=b"/ColorSpace << /C 6 0 R >>",
        ),
    )
    yield BadDocument(
        "colour-space-loop",
        page_pdf(
            stream(b"/C cs 0 scn 0 0 9 9 re f " + HEADING),
            b"[/Indexed 6 0 R 255 (abc)]",
            resources=b"/ColorSpace << /C 6 0 R >>",
        ),
    )


def annotations() -> Iterator[BadDocument]:
    page = stream(HEADING)
    looped = form(b"/X7 Do", 7)
    note = WIDGET + b"/V (Ferdinand) /Rect [9 9 99 99] /AP << /N 7 0 R >> >>"
    yield BadDocument("annotation-loop", page_pdf(page, note, looped, page=LISTED))
    itself = MEDIA_BOX + b" /Annots 6 0 R"
    yield BadDocument("annotation-list-of-itself", page_pdf(page, b"[6 0 R]", page=itself))
    field = b"<< /Type /Annot /Subtype /Widget /Parent 6 0 R /Kids [6 0 R] /Rect [9 9 99 99] >>"
    yield BadDocument("field-loop", page_pdf(page, field, page=LISTED, catalogue=FIELDS))
    large = WIDGET + b"/V (%s) /Ff 4096 /Rect [9 9 99 99] /DA (/F1 9 Tf) >>" % (b"word " * 100_000)
    yield BadDocument("field-huge-value", page_pdf(page, large, page=LISTED, catalogue=FIELDS))
    area = WIDGET + b"/V (Ferdinand) /Rect [-1e30 nan 1e30 0] /DA (/F1 1e30 Tf) >>"
    yield BadDocument("field-odd-area", page_pdf(page, area, page=LISTED, catalogue=FIELDS))
    action = (
        b"/OpenAction << /S /JavaScript /JS (while(true){}) >> /AA << /O << /S /Launch /F (/bin/sh) >> >>"
    )
    yield readable("action-javascript", page_pdf(catalogue=action), *WORDS)


def layers() -> Iterator[BadDocument]:
    marked = stream(b"/OC /L BDC " + HEADING + b"EMC")
    named = b"/Properties << /L 6 0 R >>"
    layer = b"/OCProperties << /OCGs [7 0 R] /D << /OFF [7 0 R] /BaseState (x) >> >>"
    yield BadDocument(
        "layer-membership-loop",
        page_pdf(
            marked,
            b"<< /Type /OCMD /OCGs [6 0 R 6 0 R] /P /AnyOn >>",
            b"<< /Type /OCG /Name (a) >>",
            resources=named,
            catalogue=layer,
        ),
    )
    deep = b"[/Not " * 50_000 + b"7 0 R" + b"]" * 50_000
    yield BadDocument(
        "layer-deep-expression",
        page_pdf(
            marked,
            b"<< /Type /OCMD /VE %s >>" % deep,
            b"<< /Type /OCG /Name (a) >>",
            resources=named,
            catalogue=layer,
        ),
    )
    yield BadDocument(
        "layer-state-loop",
        page_pdf(
            marked,
            b"<< /Type /OCG /Name (a) >>",
            b"[7 0 R]",
            resources=named,
            catalogue=b"/OCProperties 1 0 R",
        ),
    )
