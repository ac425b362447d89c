"""PDFs with broken fonts and broken images."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator

from tests.unit.extraction.bad.case import BadDocument
from tests.unit.extraction.bad.pdf_writer import HEADING, blanks, deflated, page_pdf, stream
from tests.unit.extraction.documents import encoded, receipt_image

SEED = 20260314


def resources() -> Iterator[BadDocument]:
    """Return all of them."""
    yield from fonts()
    yield from maps()
    yield from images()
    yield from filters()


def rubbish(length: int) -> bytes:
    return random.Random(SEED).randbytes(length)


def fonts() -> Iterator[BadDocument]:
    page = stream(HEADING)
    letter = stream(b"1 0 d0 BT /F1 1 Tf (abcdef) Tj ET")
    yield BadDocument("font-draws-itself", page_pdf(page, letter, font=drawn_font()))
    yield BadDocument("font-missing", page_pdf(font=b"null"))
    yield BadDocument("font-number", page_pdf(font=b"12"))
    yield BadDocument("font-is-page", page_pdf(font=b"3 0 R"))
    for kind, entry in ((b"TrueType", b"FontFile2"), (b"Type1", b"FontFile"), (b"Type1", b"FontFile3")):
        codes = b"/FirstChar 0 /LastChar 255 /FontDescriptor 6 0 R"
        font = b"<< /Type /Font /Subtype /%s /BaseFont /Broken %s >>" % (kind, codes)
        box = b"/Flags 4 /FontBBox [0 0 1e30 nan]"
        described = b"<< /Type /FontDescriptor /FontName /Broken %s /%s 7 0 R >>" % (box, entry)
        for name, file in broken_font_files():
            content = page_pdf(page, described, stream(file, b"/Subtype /Type1C"), font=font)
            yield BadDocument(f"font-{entry.decode()}-{name}", content)
    widths = b"/W [0 [%s] 0 2147483647 5] /DescendantFonts [6 0 R]" % (b"9 " * 200_000)
    system = b"/CIDSystemInfo << /Registry (A) /Ordering (I) /Supplement 0 >>"
    descendant = b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /A %s %s >>" % (system, widths)
    composite = (
        b"<< /Type /Font /Subtype /Type0 /BaseFont /A /Encoding /Identity-H /DescendantFonts [%d 0 R] >>"
    )
    yield BadDocument("font-composite-widths", page_pdf(page, descendant, font=composite % 6))
    yield BadDocument("font-composite-of-itself", page_pdf(font=composite % 5))
    encoding = b"/Encoding << /Differences [%s] >>" % (b"99999999 /a " * 50_000)
    codes = b"/FirstChar -5 /LastChar 2147483647 /Widths [%s]" % (b"1e30 " * 50_000)
    differences = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica %s %s >>" % (encoding, codes)
    yield BadDocument("font-differences", page_pdf(font=differences))


def drawn_font() -> bytes:
    """A Type 3 font whose letters, object 6, are drawn with the font itself."""
    size = b"/FontBBox [0 0 1 1] /FontMatrix [1 0 0 1 0 0]"
    codes = b"/FirstChar 0 /LastChar 255 /Widths [%s]" % (b"1 " * 256)
    letters = b"/Encoding << /Differences [0 %s] >> /CharProcs << /a 6 0 R >>" % (b"/a " * 256)
    own = b"/Resources << /Font << /F1 5 0 R >> >>"
    return b"<< /Type /Font /Subtype /Type3 %s %s %s %s >>" % (size, codes, letters, own)


def broken_font_files() -> Iterator[tuple[str, bytes]]:
    tables = b"".join(
        name + bytes(4) + b"\x00\x00\x00\xff\xff\xff\xff\xff"
        for name in (b"glyf", b"loca", b"head", b"maxp", b"cmap")
    )
    yield "rubbish", rubbish(4000)
    yield "empty", b""
    yield "tables-beyond", b"\x00\x01\x00\x00\x00\x05\x00\x10\x00\x00\x00\x00" + tables
    yield "many-tables", b"\x00\x01\x00\x00\xff\xff\x00\x10\x00\x00\x00\x00" + rubbish(9000)
    yield "opentype", b"OTTO\x00\x01\x00\x10\x00\x00\x00\x00CFF " + bytes(12) + rubbish(3000)
    yield "compact", b"\x01\x00\x04\x04\x00\x01\x01\x01\xff\xff\xff\xff" + rubbish(3000)
    yield (
        "type-one",
        b"%!PS-AdobeFont-1.0: A\n/FontMatrix [nan 0 0 0 0 0] def\ncurrentfile eexec\n" + rubbish(3000),
    )


def maps() -> Iterator[BadDocument]:
    """Tables from codes to characters."""
    head = (
        b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <FF> endcodespacerange\n"
    )
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R >>"
    for name, body in (
        ("huge", b"100 beginbfchar " + b"<41> <0041> " * 400_000 + b"endbfchar"),
        ("ranges", b"100 beginbfrange " + b"<0000> <FFFF> <0041> " * 3000 + b"endbfrange"),
        ("wide-range", b"1 beginbfrange <00000000> <FFFFFFFF> <0041> endbfrange"),
        ("long-targets", b"1 beginbfchar <49> <" + b"0041" * 500_000 + b"> endbfchar"),
        ("surrogates", b"1 beginbfrange <00> <FF> <D800> endbfrange"),
        ("controls", b"1 beginbfrange <00> <FF> <0000> endbfrange"),
        ("unclosed", b"1 beginbfchar <49> <00"),
        ("rubbish", rubbish(20_000)),
    ):
        yield BadDocument(f"to-unicode-{name}", page_pdf(stream(HEADING), deflated(head + body), font=font))
    loop = stream(head + b"/A usecmap", b"/Type /CMap /CMapName /A /UseCMap 6 0 R")
    composite = (
        b"<< /Type /Font /Subtype /Type0 /BaseFont /A /Encoding 6 0 R "
        b"/DescendantFonts [7 0 R] /ToUnicode 6 0 R >>"
    )
    descendant = (
        b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /A /CIDSystemInfo << >> /CIDToGIDMap 6 0 R >>"
    )
    yield BadDocument("to-unicode-loop", page_pdf(stream(HEADING), loop, descendant, font=composite))


def sides(width: int, height: int) -> bytes:
    return b"/Width %d /Height %d " % (width, height)


GREY = b"/BitsPerComponent 8 /ColorSpace /DeviceGray "
BLACK_WHITE = b"/BitsPerComponent 1 /ColorSpace /DeviceGray "
COLOUR = b"/BitsPerComponent 8 /ColorSpace /DeviceRGB "
USUAL = sides(400, 300)


def images() -> Iterator[BadDocument]:
    for name, entries, data in (*packed_images(), *plain_images()):
        picture = stream(data, b"/Type /XObject /Subtype /Image " + entries)
        profile = stream(rubbish(3000), b"/N 3")
        shown = stream(b"q 400 0 0 300 0 0 cm /X6 Do Q")
        content = page_pdf(shown, picture, profile, resources=b"/XObject << /X6 6 0 R >>")
        yield BadDocument(f"image-{name}", content)


def packed_images() -> Iterator[tuple[str, bytes, bytes]]:
    jpeg = encoded(receipt_image(lines=("Total",)), "JPEG")
    huge = resized_jpeg(jpeg, 65_000, 65_000)
    jbig2, jpx = BLACK_WHITE + b"/Filter /JBIG2Decode", USUAL + b"/Filter /JPXDecode"
    dct, fax = COLOUR + b"/Filter /DCTDecode", BLACK_WHITE + b"/Filter /CCITTFaxDecode /DecodeParms "
    yield "jbig2-rubbish", USUAL + jbig2, rubbish(3000)
    yield "jbig2-huge", sides(60_000, 60_000) + jbig2, jbig2_page(60_000)
    yield "jpx-rubbish", jpx, b"\xff\x4f\xff\x51" + rubbish(3000)
    yield "jpx-box", jpx, b"\0\0\0\x0cjP  \r\n\x87\n" + rubbish(3000)
    yield "jpx-huge", jpx, jpx_header(0x7FFFFFFF)
    yield "jpeg-cut", sides(420, 130) + dct, jpeg[: len(jpeg) // 2]
    yield "jpeg-rubbish", sides(420, 130) + dct, b"\xff\xd8\xff" + rubbish(3000)
    yield "jpeg-huge", sides(65_000, 65_000) + dct, huge
    yield "fax-rubbish", sides(1728, 2000) + fax + b"<< /K -1 /Columns 1728 >>", rubbish(9000)
    wide = b"<< /K 0 /Columns 2147483647 /Rows 2147483647 >>"
    yield "fax-wide", sides(1728, 2000) + fax + wide, rubbish(9000)
    yield "bomb", sides(20_000, 20_000) + GREY + b"/Filter /FlateDecode", blanks(382)


def plain_images() -> Iterator[tuple[str, bytes, bytes]]:
    largest = 2**31 - 1
    yield "huge", sides(100_000, 100_000) + COLOUR, b"abc"
    yield "overflowing", sides(largest, largest) + b"/BitsPerComponent 16 /ColorSpace /DeviceCMYK", b"abc"
    yield "negative", sides(-400, -300) + GREY, b"abc"
    yield "bits", USUAL + b"/BitsPerComponent 77 /ColorSpace /DeviceGray", b"abc"
    palette = b"/BitsPerComponent 8 /ColorSpace [/Indexed /DeviceRGB 2147483647 (ab)]"
    yield "palette", USUAL + palette, bytes(120_000)
    yield "profile", USUAL + b"/BitsPerComponent 8 /ColorSpace [/ICCBased 7 0 R]", bytes(360_000)
    yield "mask-of-itself", USUAL + GREY + b"/SMask 6 0 R", bytes(120_000)


def jbig2_page(side: int) -> bytes:
    """A page information segment with sides out of all proportion."""
    size = side.to_bytes(4, "big")
    return bytes(4) + b"\x30\x00\x01\x00\x00\x00\x13" + size + size + bytes(8) + b"\x00\x00\x00"


def jpx_header(side: int) -> bytes:
    size = side.to_bytes(4, "big")
    components = b"\x00\x03" + b"\x07\x01\x01" * 3
    segment = b"\x00\x00" + size + size + bytes(8) + size + size + bytes(8) + components
    return (
        b"\xff\x4f\xff\x51"
        + (len(segment) + 2).to_bytes(2, "big")
        + segment
        + b"\xff\x90\x00\x0a"
        + bytes(8)
        + b"\xff\x93"
    )


def resized_jpeg(content: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header gives other sides."""
    frame = next(mark for mark in (b"\xff\xc0", b"\xff\xc2") if mark in content)
    at = content.index(frame) + 5
    return content[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + content[at + 4 :]


def filters() -> Iterator[BadDocument]:
    """Ways to pack a content stream."""
    for name, entries, data in (
        ("unknown", b"/Filter /NoSuchDecode", HEADING),
        ("thousand", b"/Filter [%s]" % (b"/FlateDecode " * 1000), zlib.compress(HEADING)),
        ("own-array", b"/Filter 4 0 R", HEADING),
        (
            "predictor-columns",
            b"/Filter /FlateDecode /DecodeParms << /Predictor 15 /Columns 2147483647 /Colors 2147483647 >>",
            zlib.compress(HEADING),
        ),
        (
            "predictor-zero",
            b"/Filter /FlateDecode "
            b"/DecodeParms << /Predictor 2 /Columns 0 /Colors -3 /BitsPerComponent 999 >>",
            zlib.compress(HEADING),
        ),
        ("flate-cut", b"/Filter /FlateDecode", zlib.compress(HEADING * 50)[:60]),
        ("flate-rubbish", b"/Filter /FlateDecode", rubbish(5000)),
        ("lzw-rubbish", b"/Filter /LZWDecode", rubbish(50_000)),
        ("hex-rubbish", b"/Filter /ASCIIHexDecode", rubbish(5000)),
        ("ascii85-rubbish", b"/Filter /ASCII85Decode", b"zzzzz~" * 50_000),
        ("run-lengths", b"/Filter /RunLengthDecode", b"\x81 " * 500_000),
        ("run-lengths-nested", b"/Filter [/RunLengthDecode /RunLengthDecode]", b"\x81\x81" * 200_000),
        ("crypt", b"/Filter /Crypt /DecodeParms << /Name /Acme >>", HEADING),
        ("image-filter", b"/Filter /DCTDecode", HEADING),
    ):
        yield BadDocument(f"filter-{name}", page_pdf(stream(data, entries)))
