"""PDFs written object by object, so that each can be wrong in its own way."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

HEADING = b"BT /F1 20 Tf 40 250 Td (Invoice Heading) Tj 0 -100 Td (Blue widgets 99.50) Tj ET\n"
WORDS = ("Invoice", "Heading", "Blue", "widgets", "99.50")
MEDIA_BOX = b"/MediaBox [0 0 400 300]"
HELVETICA = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
MEBIBYTE = 1024 * 1024
FIRST_FREE = 6
"""The number of the first of the further objects of ``page_pdf``."""


def pdf(objects: Iterable[bytes], trailer: bytes = b"") -> bytes:
    """A file of objects that are numbered from 1; the first is the catalogue."""
    output, offsets = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(output))
        output += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    beginning = len(output)
    output += b"xref\n0 %d\n0000000000 65535 f \n" % (len(offsets) + 1)
    output += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    output += b"trailer << /Size %d /Root 1 0 R %s >>\n" % (len(offsets) + 1, trailer)
    return bytes(output + b"startxref\n%d\n%%%%EOF\n" % beginning)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    """A stream object as it is."""
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data)


def deflated(data: bytes, entries: bytes = b"") -> bytes:
    """A stream object that is compressed once."""
    return stream(zlib.compress(data, 9), b"/Filter /FlateDecode " + entries)


def page_pdf(
    content: bytes = stream(HEADING),
    *further: bytes,
    resources: bytes = b"",
    page: bytes = MEDIA_BOX,
    catalogue: bytes = b"",
    trailer: bytes = b"",
    font: bytes = HELVETICA,
) -> bytes:
    """A page with a content stream (object 4), a font (5), and further objects from number 6."""
    return pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalogue,
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R %s /Resources << /Font << /F1 5 0 R >> %s >> >>"
            % (page, resources),
            content,
            font,
            *further,
        ],
        trailer,
    )


def blanks(megabytes: int, times: int = 1) -> bytes:
    """Very many blanks in a few bytes: compressed, and the result compressed again.

    After a full flush the same compressed block can stand there any number of times.
    """
    blank = b" " * MEBIBYTE
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(blank) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 1
    for _ in range(megabytes):
        checksum = zlib.adler32(blank, checksum)
    packed = b"\x78\xda" + block * megabytes + packer.flush() + checksum.to_bytes(4, "big")
    for _ in range(times - 1):
        packed = zlib.compress(packed, 9)
    return packed


def form(content: bytes, *called: int, entries: bytes = b"") -> bytes:
    """A form that may call others by the names /X and their numbers."""
    others = b" ".join(b"/X%d %d 0 R" % (number, number) for number in called)
    own = b"/Resources << /Font << /F1 5 0 R >> /XObject << %s >> >>" % others
    return stream(content, b"/Type /XObject /Subtype /Form /BBox [0 0 400 300] %s %s" % (entries, own))
